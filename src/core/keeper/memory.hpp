// SPDX-License-Identifier: GPL-2.0-or-later
/// Memory: what must outlive the daemon beside the kernel's sets: `knockctl off`, ports on trial, and the
/// configuration that was applied last.
///
/// In:      the state files as they are on disk.   Out: the steps that make them say what is true.
/// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <knock/confirm.hpp>

#include "core/keeper/round.hpp"

namespace knock::keeper {

struct Memory {
  Unconfirmed unconfirmed{};
  std::optional<std::int64_t> off_since{}; ///< seconds of the epoch
  std::shared_ptr<const std::string>
      last_good{}; ///< its file's text; null: none was applied, or it is not changed
};

/// Why an `on` that was typed before root turned it off alone is refused.
Error off_meanwhile();

/// What is on disk, as far as known.
class Disk {
 public:
  /// `boot`: monotonic times of another boot mean nothing.
  explicit Disk(std::string boot = {}) : boot_(std::move(boot)) {}

  /// What the files say. A file that is not ours is named in `lines`, and is as if it were not there.
  Memory recall(const MemorySeen& seen, std::vector<Line>& lines);
  /// Since when it is off, in milliseconds of the epoch, by that file alone; nothing when it says what it said before.
  std::optional<std::int64_t> learn_off(const std::string& text);
  /// The steps after which the disk says what `memory` says; none when it does.
  [[nodiscard]] Steps remember(const Memory& memory) const;
  /// That step was done.
  void settle(const Remember& step, const Memory& memory);
  [[nodiscard]] const std::string& boot() const { return boot_; }

 private:
  std::string boot_;
  MemorySeen there_{}; // but for the last good, which is long:
  std::shared_ptr<const std::string> last_good_;
};

} // namespace knock::keeper
