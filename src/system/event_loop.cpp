// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/event_loop.hpp"

#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "system/fd.hpp"

namespace knock::system {

namespace {

short events_of(Watch::Want want) {
  switch (want) {
  case Watch::Want::read: return POLLIN;
  case Watch::Want::write: return POLLOUT;
  case Watch::Want::end: break;
  }
  return 0;
}

} // namespace

Instant monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Instant{Seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec}};
}

std::chrono::nanoseconds wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return Seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

bool is_clock_synchronised() {
  // By number: glibc takes clock_adjtime instead, which our unit denies. Only the state of the clock is wanted, so the
  // layout, which differs with the size of time_t, does not matter: `modes` is the first in both, and 0.
  alignas(timex) std::array<std::byte, 2 * sizeof(timex)> state{};
  const auto status = ::syscall(SYS_adjtimex, state.data());
  return status >= 0 && status != TIME_ERROR;
}

Watch EventLoop::watch(int fd, Watch::Ready ready) {
  return Watch(watched_.emplace_back(Watch::Entry{fd, std::move(ready)}));
}

Result<Instant> EventLoop::wait(std::optional<Instant> deadline) {
  watched_.remove_if([](const Watch::Entry& entry) { return entry.fd < 0; });
  polled_.clear();
  for (const auto& entry : watched_) polled_.push_back({entry.fd, events_of(entry.want), 0});

  timespec timeout{};
  if (deadline) {
    const auto left = std::max(*deadline - monotonic_now(), std::chrono::nanoseconds{0});
    timeout.tv_sec = static_cast<std::time_t>(std::chrono::floor<Seconds>(left).count());
    timeout.tv_nsec = static_cast<long>((left - Seconds{timeout.tv_sec}).count());
  }
  const int ready = ::ppoll(polled_.data(), polled_.size(), deadline ? &timeout : nullptr, nullptr);
  if (ready < 0 && errno != EINTR) return tl::unexpected(system_error("wait for events"));
  const auto now = monotonic_now();
  if (ready <= 0) return now;
  auto entry = watched_.begin(); // what a callback begins to watch comes behind all that were polled
  for (const auto& polled : polled_) {
    const auto& watched = *entry++;
    if (polled.revents != 0 && watched.fd >= 0)
      watched.ready(now); // an earlier callback may have ended this one
  }
  return now;
}

} // namespace knock::system
