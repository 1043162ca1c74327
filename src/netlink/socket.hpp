// SPDX-License-Identifier: GPL-2.0-or-later
/// NetlinkSocket: bytes to the kernel and back. What they mean is src/wire's business.
///
/// Threads: one. Receives never block: the kernel answers a request before send returns.
/// Source:  netlink(7).
#pragma once

#include <cerrno>

#include <optional>
#include <span>

#include "system/fd.hpp"
#include "wire/message.hpp"

namespace knock::netlink {

/// What to do about EPERM of nf_tables.
inline constexpr const char* kNeedsCapability =
    "run as root, or give the service AmbientCapabilities=CAP_NET_ADMIN";

/// Asks for `bytes` of receive buffer, by force when allowed, else up to rmem_max. Returns what it is now.
std::uint32_t set_receive_buffer(int fd, std::uint32_t bytes);

class NetlinkSocket {
 public:
  /// `protocol`: NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG. `groups`: multicast ones, as a mask.
  static Result<NetlinkSocket> open(int protocol, std::uint32_t groups = 0);
  /// One that another process opened.
  static NetlinkSocket adopt(system::Fd fd) { return NetlinkSocket(std::move(fd)); }
  /// The descriptor alone, for who does not read here.
  system::Fd release() && { return std::move(fd_); }

  /// Joins or leaves a multicast group (by number, not as a mask).
  void hear(int group, bool wanted);
  /// Acks name the attribute that was refused, and bear the header of the request alone. One that comes
  /// without is no error (Ack::offset).
  void explain_errors();
  /// Overruns are not reported as errors: reports carry numbers, gaps are counted instead.
  Result<void> ignore_overruns();

  Result<void> send(std::span<const std::byte> bytes);
  /// The next datagram, valid until the next call; nothing when none waits.
  Result<std::optional<std::span<const std::byte>>> receive();
  /// Sends a request that ends in an ack, and reads it. Returns the kernel's errno, 0 when done.
  Result<int> request(const wire::Bytes& message) {
    return request(message, [](const nlmsghdr*) {});
  }
  /// The same, with `visit(const nlmsghdr*)` for what comes before the ack.
  template<class Visit>
  Result<int> request(const wire::Bytes& message, Visit&& visit);
  /// Sends a dump request and calls `visit(const nlmsghdr*)` for every message of the answer.
  /// Returns the kernel's errno, 0 when whole, EINTR when a change overtook the dump.
  template<class Visit>
  Result<int> dump(const wire::Bytes& message, Visit&& visit);

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// What the kernel calls this socket in nlmsg_pid; 0 when it would not say, or another process opened it.
  [[nodiscard]] std::uint32_t port_id() const { return port_id_; }
  [[nodiscard]] std::uint32_t next_sequence() { return ++sequence_; }

 private:
  explicit NetlinkSocket(system::Fd fd) : fd_(std::move(fd)), buffer_(kDatagramBytes) {}

  // NFLOG sends up to NLBUFSIZ (64 KiB) and a trailer; a dump at most 32 KiB.
  static constexpr std::size_t kDatagramBytes = 128U << 10U;

  system::Fd fd_;
  wire::Bytes buffer_;
  std::uint32_t sequence_ = 0;
  std::uint32_t port_id_ = 0;
};

template<class Visit>
Result<int> NetlinkSocket::request(const wire::Bytes& message, Visit&& visit) {
  const auto wanted = reinterpret_cast<const nlmsghdr*>(message.data())->nlmsg_seq;
  if (auto sent = send(message); !sent) return tl::unexpected(sent.error());
  std::optional<int> answer;
  while (!answer) {
    const auto datagram = receive();
    if (!datagram) return tl::unexpected(datagram.error());
    if (!*datagram) return EAGAIN;
    wire::for_each_message(**datagram, [&](const nlmsghdr* part) {
      if (part->nlmsg_seq != wanted || answer) return;
      if (part->nlmsg_type == NLMSG_ERROR)
        answer = wire::parse_ack(part).error;
      else
        visit(part);
    });
  }
  return *answer;
}

template<class Visit>
Result<int> NetlinkSocket::dump(const wire::Bytes& message, Visit&& visit) {
  if (auto sent = send(message); !sent) return tl::unexpected(sent.error());
  bool interrupted = false;
  std::optional<int> end;
  while (!end) {
    const auto datagram = receive();
    if (!datagram) return tl::unexpected(datagram.error());
    if (!*datagram) return EAGAIN;
    wire::for_each_message(**datagram, [&](const nlmsghdr* part) {
      if (part->nlmsg_seq != sequence_ || end) return; // the rest of an older, abandoned dump
      if ((part->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (part->nlmsg_type == NLMSG_DONE)
        end = 0;
      else if (part->nlmsg_type == NLMSG_ERROR)
        end = wire::parse_ack(part).error;
      else
        visit(part);
    });
  }
  return *end == 0 && interrupted ? EINTR : *end;
}

} // namespace knock::netlink
