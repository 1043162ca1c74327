// SPDX-License-Identifier: GPL-2.0-or-later
/// Flows: which connections of a recording had an answer, as conntrack would know.
///
/// Memory: 8 MiB; a newer one takes the place of an older.
#pragma once

#include <cstdint>
#include <vector>

#include <knock/packet.hpp>

namespace knock {

class Flows {
 public:
  /// Whether something went the other way before. A reset is no answer, and a SYN always begins anew.
  bool established(const Packet& packet, const Address& destination) {
    const bool tcp = packet.protocol == Protocol::tcp;
    if (!tcp && packet.protocol != Protocol::udp) return false;
    const auto there = print(packet.protocol, packet.source, packet.source_port, destination, packet.port);
    const auto back = print(packet.protocol, destination, packet.port, packet.source, packet.source_port);
    if (!tcp || (packet.tcp_flags & kTcpRst) == 0) prints_[there % kSize] = there;
    const bool syn = tcp && (packet.tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
    return !syn && prints_[back % kSize] == back;
  }

 private:
  static constexpr std::size_t kSize = 1U << 20U;

  static std::uint64_t print(Protocol protocol, const Address& from, std::uint16_t from_port,
                             const Address& to, std::uint16_t to_port) {
    std::uint64_t hash = 0xcbf29ce484222325ULL; // FNV-1a
    const auto add = [&](unsigned byte) { hash = (hash ^ byte) * 0x100000001b3ULL; };
    add(static_cast<unsigned>(protocol));
    for (const auto byte : from.bytes()) add(byte);
    for (const auto byte : to.bytes()) add(byte);
    for (const unsigned port : {from_port, to_port}) {
      add(port & 0xffU);
      add(port >> 8U);
    }
    return hash | 1U; // 0: free
  }

  std::vector<std::uint64_t> prints_ = std::vector<std::uint64_t>(kSize);
};

} // namespace knock
