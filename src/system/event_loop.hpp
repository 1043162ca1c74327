// SPDX-License-Identifier: GPL-2.0-or-later
/// EventLoop: waits for descriptors and one deadline, and says what the time is.
///
/// Memory:  allocated when a watch begins, never by a wake-up.
/// Threads: one.
/// Time:    one clock read per wake-up; everybody else is handed that Instant.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include <knock/result.hpp>
#include <knock/time.hpp>

namespace knock::system {

/// CLOCK_MONOTONIC.
Instant monotonic_now();
/// CLOCK_REALTIME, to compare with times that the kernel gives by it.
std::chrono::nanoseconds wall_clock();
/// Whether the kernel calls it synchronised now. Source: adjtimex(2).
bool is_clock_synchronised();

/// A descriptor (borrowed) in a loop, as long as this lives. It may end at any time, also inside of its own callback;
/// from then on the callback is not called. Requires: the loop outlives it.
class Watch {
 public:
  using Ready = std::function<void(Instant)>;
  enum class Want : std::uint8_t { read, write, end };

  Watch() = default; ///< of nothing
  /// What is waited for from now on: something to read (at first), room to write, or only the end, which is told in
  /// any case.
  void want(Want what) { entry_->want = what; }

 private:
  friend class EventLoop;
  struct Entry {
    int fd = -1; ///< -1: its watch has ended, and the loop forgets it before it waits again
    Ready ready;
    Want want = Want::read;
  };
  struct End {
    void operator()(Entry* entry) const { entry->fd = -1; }
  };
  explicit Watch(Entry& entry) : entry_(&entry) {}

  std::unique_ptr<Entry, End> entry_;
};

class EventLoop {
 public:
  /// Calls `ready` whenever `fd` has something to read, or was hung up.
  [[nodiscard]] Watch watch(int fd, Watch::Ready ready);

  /// Waits once, at most until `deadline`, and runs what is ready. Returns the time of the wake-up.
  Result<Instant> wait(std::optional<Instant> deadline);

 private:
  std::list<Watch::Entry> watched_; // entries stay where they are: watches point to them
  std::vector<pollfd> polled_;      // of one wait, in the same order; keeps its capacity
};

} // namespace knock::system
