// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/event_loop.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <vector>

#include "system/fd.hpp"

namespace knock::system {

namespace {

short events_of(EventLoop::Want want) {
  switch (want) {
  case EventLoop::Want::read: return POLLIN;
  case EventLoop::Want::write: return POLLOUT;
  case EventLoop::Want::end: break;
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

void EventLoop::watch(int fd, Ready ready) {
  watched_[fd] = {std::move(ready)};
}

void EventLoop::want(int fd, Want what) {
  watched_.at(fd).want = what;
}

void EventLoop::unwatch(int fd) {
  watched_.erase(fd);
}

Result<Instant> EventLoop::wait(std::optional<Instant> deadline) {
  std::vector<pollfd> polled;
  polled.reserve(watched_.size());
  for (const auto& [fd, watched] : watched_) polled.push_back({fd, events_of(watched.want), 0});

  timespec timeout{};
  if (deadline) {
    const auto left = std::max(*deadline - monotonic_now(), std::chrono::nanoseconds{0});
    timeout.tv_sec = std::chrono::floor<Seconds>(left).count();
    timeout.tv_nsec = (left - Seconds{timeout.tv_sec}).count();
  }
  const int ready = ::ppoll(polled.data(), polled.size(), deadline ? &timeout : nullptr, nullptr);
  if (ready < 0 && errno != EINTR) return tl::unexpected(system_error("wait for events"));
  const auto now = monotonic_now();
  for (const auto& entry : polled) {
    if (ready <= 0 || entry.revents == 0) continue;
    // An earlier callback may have closed this one.
    if (const auto it = watched_.find(entry.fd); it != watched_.end()) {
      const auto call = it->second.ready;
      call(now);
    }
  }
  return now;
}

} // namespace knock::system
