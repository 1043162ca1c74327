// SPDX-License-Identifier: GPL-2.0-or-later
/// Ending: whether a signal asks this program to end.
#pragma once

#include <memory>
#include <utility>

#include "system/event_loop.hpp"
#include "system/fd.hpp"

namespace knock::client {

class Ending {
 public:
  /// Takes SIGINT, SIGTERM and SIGHUP, the last unless it is ignored (nohup). Requires: the loop outlives it.
  static Result<std::unique_ptr<Ending>> listen(system::EventLoop& loop);

  [[nodiscard]] bool asked() const { return number_ != 0; }
  /// The same just now, where the loop does not turn.
  bool asked_by_now();
  [[nodiscard]] int number() const { return number_; } ///< of the first signal; 0: none
  /// The same, and it was never asked.
  int take() { return std::exchange(number_, 0); }

 private:
  Ending() = default;
  void take_signal();
  system::Fd fd_;
  system::Watch watch_;
  int number_ = 0;
  bool hangs_up_ = true;
};

} // namespace knock::client
