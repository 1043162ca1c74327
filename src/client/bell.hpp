// SPDX-License-Identifier: GPL-2.0-or-later
/// Bell: rings when addresses, routes or links of this machine change, and when it slept.
///
/// What a route socket tells is never read: it says that something changed, and the system is asked what is so now.
/// Source: rtnetlink(7), timerfd_create(2) CLOCK_BOOTTIME, which runs on while the machine sleeps.
#pragma once

#include <functional>
#include <memory>

#include "system/event_loop.hpp"
#include "system/fd.hpp"

namespace knock::client {

/// CLOCK_BOOTTIME.
Instant boot_time();

class Bell {
 public:
  static Result<std::unique_ptr<Bell>> hang(system::EventLoop& loop);

  /// Rings at that time at the latest, also if it passes while the machine sleeps.
  void set(Instant boot_time);
  /// Whether addresses, routes or links changed since it was asked last.
  bool changed();
  /// Whether the machine slept since it was asked last.
  bool slept();

 private:
  Bell() = default;
  system::Fd routes_, timer_;
  system::Watch of_routes_, of_timer_;
  bool changed_ = false;
  std::chrono::nanoseconds asleep_{0};
};

} // namespace knock::client
