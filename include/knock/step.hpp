// SPDX-License-Identifier: GPL-2.0-or-later
/// Step: one packet of a knock, as the admin wrote it: "tcp/7143", "tcp/7143:syn+fin", "udp/12899/len=42",
/// 'icmp:"Passw0rd"', and the pause before it. Packets are compared with its Token (kinds.hpp).
///
/// Source: knockgate.toml(5); RFC 9293 3.1 (flags), RFC 792 and RFC 4443 4.1 (echo request).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include <knock/port.hpp>
#include <knock/time.hpp>

namespace knock {

/// How a packet is recognized beside its port. Of a packet that several steps describe, the one that says most counts:
/// word, then length, then port alone.
struct PacketKind {
  Port port;                             ///< of an echo request: type << 8 | code
  std::uint8_t flags = 0;                ///< TCP: just these of the six; 0: SYN without ACK
  std::optional<std::uint16_t> length{}; ///< UDP, ICMP: bytes behind the header of 8
  std::string word{}; ///< UDP, ICMP: bytes that stand somewhere in the payload; empty: none
  auto operator<=>(const PacketKind&) const = default;
};

struct Step {
  PacketKind kind;
  Millis pause{0}; ///< before it; 0: none
  auto operator<=>(const Step&) const = default;
};

/// `protocol`: icmp or icmp6.
constexpr Port echo_request(Protocol protocol) {
  return {protocol, protocol == Protocol::icmp ? std::uint16_t{8U << 8U} : std::uint16_t{128U << 8U}};
}
constexpr bool is_ping(Port port) {
  return port.protocol == Protocol::icmp || port.protocol == Protocol::icmp6;
}

/// As it is written in a config, without the pause.
std::string to_string(const PacketKind& kind);
/// A word as it stands between quotes: `"` and `\` escaped, bytes outside of 0x20..0x7e as \xNN.
std::string escaped_word(std::string_view word);

} // namespace knock
