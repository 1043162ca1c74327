// SPDX-License-Identifier: GPL-2.0-or-later
/// EventLoop: waits for descriptors and one deadline, and says what the time is.
///
/// Threads: one.
/// Time:    one clock read per wake-up; everybody else is handed that Instant.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include <knock/result.hpp>
#include <knock/time.hpp>

namespace knock::system {

/// CLOCK_MONOTONIC.
Instant monotonic_now();
/// CLOCK_REALTIME, to compare with times that the kernel gives by it.
std::chrono::nanoseconds wall_clock();

class EventLoop {
 public:
  using Ready = std::function<void(Instant)>;

  /// Calls `ready` whenever `fd` (borrowed) has something to read, or was hung up.
  void watch(int fd, Ready ready);
  /// What is to be waited for at `fd` from now on: something to read (at first), room to write, or only its
  /// end, of which `ready` hears in any case.
  enum class Want : std::uint8_t { read, write, end };
  void want(int fd, Want what);
  void unwatch(int fd);

  /// Waits once, at most until `deadline`, and runs what is ready. Returns the time of the wake-up.
  Result<Instant> wait(std::optional<Instant> deadline);

 private:
  struct Watched {
    Ready ready;
    Want want = Want::read;
  };
  std::map<int, Watched> watched_;
};

} // namespace knock::system
