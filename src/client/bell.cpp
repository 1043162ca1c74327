// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/bell.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace knock::client {
namespace {

constexpr std::uint32_t kGroups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
constexpr std::chrono::nanoseconds kASleep = Seconds{1}; // both clocks are read one after the other

void empty(int fd) {
  std::array<char, 8'192> bytes{};
  while (::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0 || errno == ENOBUFS) errno = 0;
}

} // namespace

Instant boot_time() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return Instant{Seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec}};
}

Result<std::unique_ptr<Bell>> Bell::hang(system::EventLoop& loop) {
  std::unique_ptr<Bell> bell(new Bell);
  bell->routes_ = system::Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = kGroups;
  if (!bell->routes_ ||
      ::bind(bell->routes_.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0)
    return tl::unexpected(system::system_error("listen for changes of addresses"));
  bell->timer_ = system::Fd(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!bell->timer_) return tl::unexpected(system::system_error("make a timer"));
  bell->of_routes_ = loop.watch(bell->routes_.get(), [at = bell.get()](Instant) {
    empty(at->routes_.get());
    at->changed_ = true;
  });
  bell->of_timer_ = loop.watch(bell->timer_.get(), [at = bell.get()](Instant) {
    std::uint64_t times = 0;
    static_cast<void>(::read(at->timer_.get(), &times, sizeof times) == sizeof times);
  });
  bell->slept();
  return bell;
}

void Bell::set(Instant boot_time) {
  const auto since = std::max(boot_time.time_since_epoch(), std::chrono::nanoseconds{1}); // 0 would stop it
  const auto seconds = std::chrono::floor<Seconds>(since);
  itimerspec at{};
  at.it_value.tv_sec = static_cast<std::time_t>(seconds.count());
  at.it_value.tv_nsec = static_cast<long>((since - seconds).count());
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
}

bool Bell::changed() {
  return std::exchange(changed_, false);
}

bool Bell::slept() {
  const auto asleep = boot_time() - system::monotonic_now();
  return asleep - std::exchange(asleep_, asleep) > kASleep;
}

} // namespace knock::client
