// SPDX-License-Identifier: GPL-2.0-or-later
/// Packet: what one reported packet says that a knock can be made of.
///
/// In:     bytes from the network header on, cut at the copy range (RFC 791, RFC 8200, RFC 9293, RFC 768).
/// Out:    a value, or the reason why it is none (counted, never logged).
/// Memory: none; reads the span only. Hostile input: every byte may lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <knock/address.hpp>
#include <knock/flags.hpp>
#include <knock/port.hpp>
#include <knock/time.hpp>

namespace knock {

struct Packet {
  Address source;
  Protocol protocol = Protocol::tcp;
  std::uint16_t source_port = 0; ///< 0 for ICMP
  std::uint16_t port = 0;        ///< destination port; ICMP: type << 8 | code
  std::uint8_t tcp_flags = 0;    ///< RFC 9293 3.1, the low eight bits: cwr ece urg ack psh rst syn fin
  std::uint32_t sequence = 0;    ///< tells copies apart: TCP sequence number; else IPv4 id << 16 | length
  std::uint16_t length = 0;      ///< UDP, ICMP: bytes behind the header of 8, also those not copied
  std::span<const std::byte> payload{}; ///< of these what was copied
};

/// Why bytes are no packet of ours. Each is a counter in `knockctl status`.
enum class Unparsed : std::uint8_t {
  none,      ///< it was parsed
  cut,       ///< the copy range or the packet itself ends before the header does
  version,   ///< neither IPv4 nor IPv6, or a header length below the minimum
  fragment,  ///< any fragment, first ones too: the kernel did not reassemble it, we do not either
  extension, ///< IPv4 options; more than 8 headers or 256 bytes of them, or one we cannot walk (ESP, unknown)
  protocol,  ///< a transport that is no step
};

struct ParsedPacket {
  Packet packet;
  Unparsed reason = Unparsed::none;
};

/// Reads one packet. `packet` means something only when `reason` is `none`.
ParsedPacket parse_packet(std::span<const std::byte> bytes) noexcept;

/// From whom and to whom a packet goes, also one that is refused.
struct Ends {
  Address source;
  Address destination;
};
std::optional<Ends> parse_ends(std::span<const std::byte> bytes) noexcept;

} // namespace knock
