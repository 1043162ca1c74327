// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/socket.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace knock::netlink {

Result<NetlinkSocket> NetlinkSocket::open(int protocol, std::uint32_t groups) {
  system::Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return tl::unexpected(system::system_error("open a netlink socket"));
  const sockaddr_nl any{AF_NETLINK, 0, 0, groups};
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
    return tl::unexpected(system::system_error("bind a netlink socket"));
  NetlinkSocket socket(std::move(fd));
  sockaddr_nl own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&own), &size) == 0) socket.port_id_ = own.nl_pid;
  return socket;
}

std::uint32_t set_receive_buffer(int fd, std::uint32_t bytes) {
  const int wanted = static_cast<int>(bytes);
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0)
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
  int doubled = 0; // the kernel counts its own overhead in
  socklen_t size = sizeof doubled;
  ::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &doubled, &size);
  return static_cast<std::uint32_t>(doubled) / 2;
}

void NetlinkSocket::hear(int group, bool wanted) {
  ::setsockopt(fd_.get(), SOL_NETLINK, wanted ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &group,
               sizeof group);
}

void NetlinkSocket::explain_errors() {
  const int on = 1;
  for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK})
    ::setsockopt(fd_.get(), SOL_NETLINK, option, &on, sizeof on);
}

Result<void> NetlinkSocket::ignore_overruns() {
  const int on = 1;
  if (::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) != 0)
    return tl::unexpected(system::system_error("set NETLINK_NO_ENOBUFS"));
  return {};
}

Result<void> NetlinkSocket::send(std::span<const std::byte> bytes) {
  // A batch is one skb: the send buffer has to hold it whole, or the kernel says EMSGSIZE.
  const int room = static_cast<int>(bytes.size()) + (64 << 10);
  if (bytes.size() > (128U << 10U)) ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  while (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0)
    if (errno != EINTR) return tl::unexpected(system::system_error("send to netlink"));
  return {};
}

Result<std::optional<std::span<const std::byte>>> NetlinkSocket::receive() {
  for (;;) {
    const auto size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size >= 0) return std::span<const std::byte>(buffer_.data(), static_cast<std::size_t>(size));
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) return tl::unexpected(system::system_error("receive from netlink"));
  }
}

} // namespace knock::netlink
