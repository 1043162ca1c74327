// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/frame.hpp"

#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink_log.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace knock::wire {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;

std::uint16_t u16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8U |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}

/// As the machine writes it: libpcap has turned what another one wrote.
std::uint16_t host_u16(Bytes bytes, std::size_t at) {
  std::uint16_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

/// What stands behind an EtherType at `at` and the tags of VLANs.
std::optional<Bytes> behind_type(Bytes bytes, std::size_t at, std::size_t header) {
  if (bytes.size() < header) return std::nullopt;
  auto type = u16(bytes, at);
  auto rest = bytes.subspan(header);
  while ((type == kVlan || type == kServiceVlan) && rest.size() >= 4) {
    type = u16(rest, 2);
    rest = rest.subspan(4);
  }
  return type == kIpv4 || type == kIpv6 ? std::optional(rest) : std::nullopt;
}

/// `type` is the kernel's PACKET_*.
Frame cooked(Bytes packet, unsigned type) {
  return {packet, type == PACKET_OUTGOING, type == PACKET_BROADCAST || type == PACKET_MULTICAST};
}

std::optional<Frame> parse_nflog(Bytes bytes) {
  constexpr std::size_t kHeader = 4, kAttribute = 4; // family, version, group; length, type
  if (bytes.size() < kHeader) return std::nullopt;
  bytes = bytes.subspan(kHeader);
  while (bytes.size() >= kAttribute) {
    const std::size_t length = host_u16(bytes, 0);
    if (length < kAttribute) return std::nullopt;
    if (host_u16(bytes, 2) == NFULA_PAYLOAD)
      return Frame{bytes.subspan(kAttribute, std::min(length, bytes.size()) - kAttribute)};
    bytes = bytes.subspan(std::min((length + 3U) & ~std::size_t{3}, bytes.size()));
  }
  return std::nullopt;
}

} // namespace

std::optional<Link> link_of(int number) {
  constexpr std::array kAll{Link::ethernet, Link::raw,   Link::cooked, Link::ipv4,
                            Link::ipv6,     Link::nflog, Link::cooked2};
  const auto* found =
      std::find_if(kAll.begin(), kAll.end(), [&](Link link) { return static_cast<int>(link) == number; });
  return found == kAll.end() ? std::nullopt : std::optional(*found);
}

std::optional<Frame> parse_frame(Link link, Bytes bytes) {
  switch (link) {
  case Link::ethernet:
    if (const auto packet = behind_type(bytes, 12, 14))
      return Frame{*packet, false, (bytes[0] & std::byte{1}) != std::byte{0}};
    return std::nullopt;
  case Link::cooked:
    if (const auto packet = behind_type(bytes, 14, 16)) return cooked(*packet, u16(bytes, 0));
    return std::nullopt;
  case Link::cooked2:
    if (const auto packet = behind_type(bytes, 0, 20))
      return cooked(*packet, std::to_integer<unsigned>(bytes[10]));
    return std::nullopt;
  case Link::nflog: return parse_nflog(bytes);
  case Link::raw:
  case Link::ipv4:
  case Link::ipv6: return Frame{bytes};
  }
  return std::nullopt;
}

} // namespace knock::wire
