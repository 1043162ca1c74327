// SPDX-License-Identifier: GPL-2.0-or-later
/// Sequences and packets for tests of policy and tracker.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <knock/tracker.hpp>

namespace knock {

inline Step tcp_step(unsigned port) {
  return {{{Protocol::tcp, static_cast<std::uint16_t>(port)}}};
}
inline Token tcp(unsigned port) {
  return token_of(tcp_step(port).kind.port);
}

inline Sequence sequence(std::string name, const std::vector<unsigned>& ports) {
  Sequence made;
  made.door = door_id(name);
  made.name = std::move(name);
  for (auto port : ports) made.steps.push_back(tcp_step(port));
  return made;
}

/// A SYN of its own: no other packet of a test has its sequence number.
inline Packet syn(const Address& source, unsigned port, std::uint32_t number) {
  Packet packet;
  packet.source = source;
  packet.port = static_cast<std::uint16_t>(port);
  packet.source_port = 40'000;
  packet.tcp_flags = kTcpSyn;
  packet.sequence = number;
  return packet;
}

inline Address ipv4(std::uint32_t number) {
  Address address;
  for (unsigned i = 0; i < 4; ++i) address.octets[i] = static_cast<std::uint8_t>(number >> (24U - 8U * i));
  return address;
}

inline constexpr SourceHash::Key kTestKey{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
inline constexpr std::size_t kTestWords = 1U << 19U;

} // namespace knock
