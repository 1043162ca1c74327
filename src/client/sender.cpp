// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/sender.hpp"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <vector>

#include <fmt/format.h>

#include "client/show.hpp"
#include "system/socket_address.hpp"

namespace knock::client {
namespace {

constexpr std::size_t kEchoHead = 8;
constexpr std::uint8_t kEchoRequest6 = 128;

/// A socket from the way's source to a port of its router, which never waits.
Result<system::Fd> socket_of(const Way& way, int type, int protocol, std::uint16_t port) {
  system::Fd fd(
      ::socket(system::family_of(way.router.family), type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  const system::SocketAddress own(way.source, 0);
  const system::SocketAddress peer(way.router, port);
  const bool done = fd && ::bind(fd.get(), own.get(), own.size) == 0 &&
                    (::connect(fd.get(), peer.get(), peer.size) == 0 || errno == EINPROGRESS);
  if (!done) return tl::unexpected(system::system_error("send to " + to_string(way.router)));
  return fd;
}

void ask_for_errors(int fd, Family family) {
  const int on = 1;
  if (family == Family::ipv4)
    ::setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  else
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

/// One error from the queue of `fd`, and who sent it.
struct Told {
  sock_extended_err error{};
  std::optional<Address> offender;
};
std::optional<Told> next_error(int fd) {
  std::array<char, 512> control{};
  msghdr message{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return std::nullopt;
  Told told;
  for (auto* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    const bool ours = (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_RECVERR) ||
                      (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_RECVERR);
    if (!ours || at->cmsg_len < CMSG_LEN(sizeof(sock_extended_err) + sizeof(sockaddr_in))) continue;
    std::memcpy(&told.error, CMSG_DATA(at), sizeof told.error);
    sockaddr_storage from{};
    const auto size = std::min<std::size_t>(at->cmsg_len - CMSG_LEN(sizeof told.error), sizeof from);
    std::memcpy(&from, CMSG_DATA(at) + sizeof told.error, size);
    told.offender = system::address_of(reinterpret_cast<const sockaddr&>(from));
  }
  return told;
}

bool is_port_unreachable(const sock_extended_err& error) {
  return (error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
          error.ee_code == ICMP_PORT_UNREACH) ||
         (error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == 1 && error.ee_code == 4); // RFC 4443, 3.1
}

/// Forbidden by an admin: RFC 1812, 5.2.7.1; RFC 4443, 3.1.
bool is_prohibited(const sock_extended_err& error) {
  const auto is = [&](std::initializer_list<int> codes) {
    return std::find(codes.begin(), codes.end(), int{error.ee_code}) != codes.end();
  };
  return (error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
          is({ICMP_NET_ANO, ICMP_HOST_ANO, ICMP_PKT_FILTERED})) ||
         (error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == 1 && is({1, 5, 6}));
}

} // namespace

Result<void> Sender::send(const Way& way, Carrier carrier, std::span<const std::uint8_t> payload) {
  if (carrier.port == 0) return send_ping(way, payload);
  auto fd = socket_of(way, SOCK_DGRAM, 0, carrier.port);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  ask_for_errors(fd->get(), way.router.family);
  if (::send(fd->get(), payload.data(), payload.size(), MSG_NOSIGNAL) < 0)
    return tl::unexpected(system::system_error("send to " + to_string(way.router)));
  listen(std::move(*fd), carrier, way.router);
  return {};
}

Result<void> Sender::send_ping(const Way& way, std::span<const std::uint8_t> payload) {
  const bool four = way.router.family == Family::ipv4;
  auto fd = socket_of(way, SOCK_DGRAM, four ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}, 0);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  ask_for_errors(fd->get(), way.router.family);
  // The kernel writes the sum, and the identifier.
  std::vector<std::uint8_t> echo(kEchoHead);
  echo[0] = four ? std::uint8_t{ICMP_ECHO} : kEchoRequest6;
  echo.insert(echo.end(), payload.begin(), payload.end());
  if (::send(fd->get(), echo.data(), echo.size(), MSG_NOSIGNAL) < 0)
    return tl::unexpected(system::system_error("send to " + to_string(way.router)));
  listen(std::move(*fd), Carrier{}, way.router);
  return {};
}

Result<void> Sender::send(const Way& way, const PacketKind& kind) {
  std::vector<std::uint8_t> payload(kind.word.begin(), kind.word.end());
  if (kind.length) payload.resize(*kind.length);
  if (is_ping(kind.port)) {
    const auto family = kind.port.protocol == Protocol::icmp ? Family::ipv4 : Family::ipv6;
    if (family == way.router.family) return send_ping(way, payload);
    return tl::unexpected(Error{fmt::format("{} goes over the other family alone", to_string(kind)), 0, {}});
  }
  if (kind.port.protocol == Protocol::udp) return send(way, Carrier{kind.port.number}, payload);
  // Closed at once: a SYN that the kernel repeats would be one step too many.
  auto fd = socket_of(way, SOCK_STREAM, 0, kind.port.number);
  if (fd || fd.error().code == ECONNREFUSED) return {};
  return tl::unexpected(std::move(fd.error()));
}

void Sender::listen(system::Fd fd, Carrier carrier, const Address& router) {
  auto& open = open_.emplace_back(Open{std::move(fd), {}, carrier, router});
  open.watch = loop_.watch(open.fd.get(), [this, &open](Instant) { hear(open); });
}

void Sender::hear(Open& open) {
  // What is sent back (an echo reply) is of no use, but must be taken, or the loop would spin.
  std::array<std::uint8_t, 2'048> answer{};
  while (::recv(open.fd.get(), answer.data(), answer.size(), MSG_DONTWAIT) >= 0) {
  }
  while (const auto told = next_error(open.fd.get())) {
    const bool no_port = is_port_unreachable(told->error);
    if (no_port && told->offender == open.router)
      port_unreachable_ = true;
    else if (no_port || is_prohibited(told->error))
      rejected_ = open.carrier;
  }
}

bool is_forbidden(const Error& error) {
  return error.code == EACCES || error.code == EPERM;
}

std::string reason_text(const Error& error) {
  return error.code != 0 ? std::strerror(error.code) : error.what;
}

Failure no_ping_socket() {
  return denied("a ping needs a ping socket, which this system does not give to your group",
                "sudo sysctl -w net.ipv4.ping_group_range='0 2147483647'");
}

} // namespace knock::client
