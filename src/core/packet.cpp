// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/packet.hpp>

#include <algorithm>

#include <knock/limits.hpp>

namespace knock {
namespace {

using Bytes = std::span<const std::byte>;

// IANA protocol numbers of IPv6 extension headers (RFC 8200 4, RFC 4302)
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kDestination = 60;

std::uint8_t u8(Bytes bytes, std::size_t at) {
  return std::to_integer<std::uint8_t>(bytes[at]);
}
std::uint16_t u16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(u8(bytes, at) << 8U | u8(bytes, at + 1));
}
std::uint32_t u32(Bytes bytes, std::size_t at) {
  return static_cast<std::uint32_t>(u16(bytes, at)) << 16U | u16(bytes, at + 2);
}

ParsedPacket refused(Unparsed reason) {
  return {{}, reason};
}

Address address_at(Bytes bytes, std::size_t at, Family family) {
  Address address{family, {}};
  const std::size_t size = family == Family::ipv4 ? 4 : 16;
  std::transform(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + size), address.octets.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return address;
}

constexpr std::size_t kDatagramHeader = 8; // of UDP and of an echo request

/// What stands behind the header of 8, `whole` bytes with it.
void read_payload(Packet& packet, Bytes bytes, std::size_t whole) {
  if (whole < kDatagramHeader || bytes.size() < kDatagramHeader) return;
  packet.length = static_cast<std::uint16_t>(whole - kDatagramHeader);
  packet.payload =
      bytes.subspan(kDatagramHeader, std::min(bytes.size() - kDatagramHeader, std::size_t{packet.length}));
}

/// `bytes` begins at the transport header, of `whole` bytes before the copy range cut them; `packet.sequence` holds what
/// tells datagrams apart.
ParsedPacket parse_transport(Packet packet, std::uint8_t protocol, Bytes bytes, std::size_t whole) {
  packet.protocol = static_cast<Protocol>(protocol);
  const bool ipv4 = packet.source.family == Family::ipv4;
  switch (packet.protocol) {
  case Protocol::tcp:
    if (bytes.size() < 20) return refused(Unparsed::cut);
    packet.source_port = u16(bytes, 0);
    packet.port = u16(bytes, 2);
    packet.sequence = u32(bytes, 4);
    packet.tcp_flags = u8(bytes, 13);
    return {packet, Unparsed::none};
  case Protocol::udp:
    if (bytes.size() < 8) return refused(Unparsed::cut);
    packet.source_port = u16(bytes, 0);
    packet.port = u16(bytes, 2);
    read_payload(packet, bytes, std::min(whole, std::size_t{u16(bytes, 4)}));
    return {packet, Unparsed::none};
  case Protocol::icmp:
  case Protocol::icmp6:
    if (ipv4 != (packet.protocol == Protocol::icmp)) return refused(Unparsed::protocol);
    if (bytes.size() < 4) return refused(Unparsed::cut);
    packet.port = u16(bytes, 0);
    read_payload(packet, bytes, whole);
    return {packet, Unparsed::none};
  }
  return refused(Unparsed::protocol);
}

ParsedPacket parse_ipv4(Bytes bytes) {
  if (bytes.size() < 20) return refused(Unparsed::cut);
  const std::size_t header = 4U * (u8(bytes, 0) & 0x0fU);
  const std::size_t total = u16(bytes, 2);
  if (header < 20 || total < header) return refused(Unparsed::version);
  if (bytes.size() < header) return refused(Unparsed::cut);
  // Linux drops a packet with wrong options behind the hook that reports knocks, before the one that reports strays:
  // guesses would cost nothing. No client sends options.
  if (header != 20) return refused(Unparsed::extension);
  if ((u16(bytes, 6) & 0x3fffU) != 0) return refused(Unparsed::fragment); // more fragments, or an offset
  Packet packet;
  packet.source = address_at(bytes, 12, Family::ipv4);
  packet.sequence = static_cast<std::uint32_t>(u16(bytes, 4)) << 16U | static_cast<std::uint32_t>(total);
  // Behind total length is the frame's trailer, not the packet.
  return parse_transport(packet, u8(bytes, 9), bytes.subspan(header, std::min(bytes.size(), total) - header),
                         total - header);
}

ParsedPacket parse_ipv6(Bytes bytes) {
  if (bytes.size() < 40) return refused(Unparsed::cut);
  const std::size_t payload = u16(bytes, 4);
  Packet packet;
  packet.source = address_at(bytes, 8, Family::ipv6);
  // No identification here: flow label (random a flow in most senders) and length stand in for it.
  packet.sequence = static_cast<std::uint32_t>(u16(bytes, 2)) << 16U | static_cast<std::uint32_t>(payload);
  std::uint8_t next = u8(bytes, 6);
  Bytes rest = bytes.subspan(40);
  if (payload != 0) rest = rest.first(std::min(rest.size(), payload)); // 0: a jumbogram, or GRO's big TCP
  std::size_t whole = payload != 0 ? payload : rest.size();
  std::size_t walked = 0;
  for (std::size_t headers = 0;; ++headers) {
    if (next == kFragment) return refused(Unparsed::fragment);
    const bool walkable =
        next == kHopByHop || next == kRouting || next == kDestination || next == kAuthentication;
    if (!walkable) break;
    if (rest.size() < 8) return refused(Unparsed::cut);
    const std::size_t size = next == kAuthentication ? 4U * (u8(rest, 1) + 2U) : 8U * (u8(rest, 1) + 1U);
    walked += size;
    if (headers == kMaxExtensions || walked > kMaxExtensionBytes) return refused(Unparsed::extension);
    if (rest.size() < size) return refused(Unparsed::cut);
    next = u8(rest, 0);
    rest = rest.subspan(size);
    whole -= std::min(whole, size);
  }
  return parse_transport(packet, next, rest, whole);
}

} // namespace

ParsedPacket parse_packet(Bytes bytes) noexcept {
  if (bytes.empty()) return refused(Unparsed::cut);
  switch (u8(bytes, 0) >> 4U) {
  case 4: return parse_ipv4(bytes);
  case 6: return parse_ipv6(bytes);
  default: return refused(Unparsed::version);
  }
}

std::optional<Ends> parse_ends(Bytes bytes) noexcept {
  if (bytes.size() >= 20 && u8(bytes, 0) >> 4U == 4)
    return Ends{address_at(bytes, 12, Family::ipv4), address_at(bytes, 16, Family::ipv4)};
  if (bytes.size() >= 40 && u8(bytes, 0) >> 4U == 6)
    return Ends{address_at(bytes, 8, Family::ipv6), address_at(bytes, 24, Family::ipv6)};
  return std::nullopt;
}

} // namespace knock
