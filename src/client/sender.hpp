// SPDX-License-Identifier: GPL-2.0-or-later
/// Sender: packets from unprivileged sockets, and what the network says of them.
///
/// Sends:  UDP, echo requests by a ping socket (net.ipv4.ping_group_range), SYNs by connect(2): no raw socket.
/// Source: ip(7) IP_RECVERR, icmp(7), RFC 792, RFC 4443 3.1.
#pragma once

#include <list>
#include <optional>
#include <span>

#include <knock/profile.hpp>
#include <knock/step.hpp>

#include "client/session.hpp"
#include "system/event_loop.hpp"
#include "system/fd.hpp"

namespace knock::client {

class Sender {
 public:
  explicit Sender(system::EventLoop& loop) : loop_(loop) {}

  /// All of `payload` from the way's source to its router. Errors: ENETUNREACH, EPERM (a firewall here), EACCES (no ping
  /// socket for this user).
  Result<void> send(const Way& way, Carrier carrier, std::span<const std::uint8_t> payload);
  /// One packet of a knock. One of the other family than the way's is left out.
  Result<void> send(const Way& way, const PacketKind& kind);

  // Of all that was sent.
  /// Refused by a firewall on the way.
  [[nodiscard]] const std::optional<Carrier>& rejected() const { return rejected_; }
  /// "Port unreachable" of the router itself: what is sent arrives.
  [[nodiscard]] bool port_unreachable() const { return port_unreachable_; }

 private:
  struct Open {
    system::Fd fd;
    system::Watch watch;
    Carrier carrier;
    Address router;
  };
  Result<void> send_ping(const Way& way, std::span<const std::uint8_t> payload);
  void listen(system::Fd fd, Carrier carrier, const Address& router);
  void hear(Open& open);

  system::EventLoop& loop_;
  std::list<Open> open_; ///< errors come back to the socket that sent
  std::optional<Carrier> rejected_;
  bool port_unreachable_ = false;
};

/// Of an error of `send`: EACCES or EPERM.
bool is_forbidden(const Error& error);
/// "Network is unreachable": the system's words alone, without the call.
std::string reason_text(const Error& error);
/// What to type where a ping socket is forbidden.
Failure no_ping_socket();

} // namespace knock::client
