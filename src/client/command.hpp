// SPDX-License-Identifier: GPL-2.0-or-later
/// Command: what `keep ... -- COMMAND` runs, with our terminal and our signals as they were.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "system/event_loop.hpp"
#include "system/fd.hpp"

namespace knock::client {

class Command {
 public:
  /// Errors: EAGAIN, ENOMEM. One that cannot be executed ends with 127, and says why.
  static Result<std::unique_ptr<Command>> start(system::EventLoop& loop,
                                                const std::vector<std::string>& words);

  void pass_on(int signal) const;
  /// Its status, or 128 + the signal that ended it; nothing while it lives.
  [[nodiscard]] std::optional<int> ended() const { return code_; }

 private:
  explicit Command(pid_t pid) : pid_(pid) {}
  void end();
  pid_t pid_;
  std::optional<int> code_;
  system::Fd ends_;
  system::Watch watch_;
};

} // namespace knock::client
