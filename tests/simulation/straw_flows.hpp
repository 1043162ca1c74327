// SPDX-License-Identifier: GPL-2.0-or-later
/// Connections: the sockets of this host and conntrack, of straw.
///
/// In:      packets that were let in, answers, ends.   Out: events, for who listens; lists.
/// Source:  netlink/conntrack.hpp, Silence: a flow that began while nobody listened never sends an event.
#pragma once

#include <cstdint>
#include <vector>

#include "core/keeper/round.hpp"

namespace knock::simulation {

/// One connection of a client.
struct Connection {
  Flow flow{};
  bool tracked = false;  ///< conntrack has an entry of it
  bool answered = false; ///< ct state established
  bool noted = false;    ///< it began under a listener
};

struct Connections {
  std::vector<Connection> alive{}; ///< not closed
  std::vector<FlowEvent> events{};
  std::uint32_t last_id = 0;
  bool listening = false;
  bool overran = false;
  Address here{}; ///< destination of all

  [[nodiscard]] Connection* find(const Address& source, std::uint16_t source_port, Port port);
  /// A packet of it passed the hooks. `tracks`: some rule uses ct.
  void let_in(const Address& source, std::uint16_t source_port, Port port, bool tracks);
  void answer(const Address& source, std::uint16_t source_port, Port port);
  void end(const Address& source, std::uint16_t source_port, Port port);
  void listen(bool on);
  /// The queue is full: what waits in it is read, the rest is lost.
  void lose_events();

  [[nodiscard]] std::vector<Flow> flows() const;   ///< sorted
  [[nodiscard]] std::vector<GrantKey> tcp() const; ///< as sock_diag tells them, sorted
  [[nodiscard]] bool lives(const Flow& flow) const;
};

} // namespace knock::simulation
