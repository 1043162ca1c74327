// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nflog.hpp"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace knock::netlink {
namespace {

Error bind_error(std::uint16_t group, int code) {
  if (code == EPERM)
    return system::system_error(
        fmt::format("bind NFLOG group {}", group), code,
        fmt::format("another program (ulogd2, a second knockgated) has it, or CAP_NET_ADMIN is missing; "
                    "choose [nflog] group so that {}..{} are free",
                    group, group + 3));
  return system::system_error(fmt::format("bind NFLOG group {}", group), code, "");
}

/// Linux 6.6 and newer say in every report when it was made. Older ones say when the packet came, as long as
/// any socket of the machine wants to know: a clock read (some 50 ns) for each packet that it receives.
void want_stamps(int fd) {
  utsname system{};
  unsigned major = 0, minor = 0;
  if (::uname(&system) != 0 || std::sscanf(system.release, "%u.%u", &major, &minor) != 2) return;
  const int on = 1;
  if (std::pair(major, minor) < std::pair(6U, 6U))
    ::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
}

} // namespace

Result<NflogGroups> NflogGroups::open(std::uint16_t first_group, std::uint32_t buffer_bytes) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return tl::unexpected(socket.error());
  const auto buffer = set_receive_buffer(socket->fd(), buffer_bytes);
  if (auto set = socket->ignore_overruns(); !set) return tl::unexpected(set.error());
  want_stamps(socket->fd());
  for (std::uint16_t i = 0; i < kNflogGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(first_group + i);
    for (const auto& message : {wire::encode_nflog_bind(group, socket->next_sequence()),
                                wire::encode_nflog_settings(group, socket->next_sequence(), {})}) {
      const auto code = socket->request(message);
      if (!code) return tl::unexpected(code.error());
      if (*code != 0) return tl::unexpected(bind_error(group, *code));
    }
  }
  return NflogGroups(std::move(*socket).release(), first_group, buffer);
}

void NflogGroups::resize_buffer(std::uint32_t bytes) {
  buffer_bytes_ = set_receive_buffer(fd(), bytes);
}

Result<void> NflogGroups::set_copy(std::uint32_t bytes) {
  if (bytes == copy_bytes_) return {};
  for (std::uint16_t i = 0; i < kNflogGroups; ++i) {
    const auto message = wire::encode_nflog_copy(static_cast<std::uint16_t>(first_group_ + i), bytes);
    if (::send(fd(), message.data(), message.size(), MSG_NOSIGNAL) < 0)
      return tl::unexpected(system::system_error("set how much NFLOG copies", errno, ""));
  }
  copy_bytes_ = bytes;
  return {};
}

std::size_t NflogGroups::discard() {
  constexpr std::size_t kMost = 1U << 17U; // a flood brings more than we can take; 64 MiB hold less
  std::byte none{};
  std::size_t datagrams = 0;
  while (datagrams < kMost && ::recv(fd(), &none, sizeof none, MSG_DONTWAIT) >= 0) ++datagrams;
  return datagrams;
}

std::uint64_t NflogGroups::drops() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, info.data(), &size) != 0) return 0;
  return info[SK_MEMINFO_DROPS];
}

std::string NflogGroups::settings_difference() const {
  // group portid qlen mode range timeout use (net/netfilter/nfnetlink_log.c, seq_show); root only
  std::ifstream file("/proc/net/netfilter/nfnetlink_log");
  const wire::NflogSettings wanted;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint32_t group = 0, port = 0, queued = 0, mode = 0, range = 0, timeout = 0;
    if (!(words >> group >> port >> queued >> mode >> range >> timeout)) continue;
    if (group - first_group_ >= kNflogGroups) continue;
    if (mode != 2 || range != wanted.copy_bytes || timeout != wanted.timeout_centiseconds)
      return fmt::format("group {} has mode {}, range {}, timeout {}", group, mode, range, timeout);
  }
  return {};
}

NflogReader::NflogReader(system::Fd socket, std::uint16_t first_group, NflogCounters& counters)
    : socket_(NetlinkSocket::adopt(std::move(socket))), first_group_(first_group), counters_(&counters) {
  logged_.reserve(1024); // more than a 64 KiB datagram holds
}

Result<std::optional<std::span<const wire::Logged>>> NflogReader::receive() {
  const auto datagram = socket_.receive();
  if (!datagram) return tl::unexpected(datagram.error());
  if (!*datagram) return std::nullopt;
  logged_.clear();
  counters_->malformed.add(wire::parse_nflog(**datagram, logged_).malformed);
  for (const auto& logged : logged_) count(logged);
  return std::span<const wire::Logged>(logged_);
}

void NflogReader::count(const wire::Logged& logged) {
  counters_->packets.add(1);
  const auto index = static_cast<std::uint16_t>(logged.group - first_group_);
  if (index >= kNflogGroups || !logged.sequence) return;
  auto& expected = expected_[index];
  if (expected && *expected != *logged.sequence) {
    counters_->lost.add(*logged.sequence - *expected); // modulo 2^32, as the kernel counts
    counters_->overruns.add(1);
  }
  expected = *logged.sequence + 1;
}

} // namespace knock::netlink
