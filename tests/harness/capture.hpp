// SPDX-License-Identifier: GPL-2.0-or-later
/// Capture: the packets of a classic pcap file, as reports hold them: from the network header on.
///
/// In:     a file of link type RAW or ETHERNET, of either byte order, with micro- or nanoseconds.
/// Out:    its IP packets with their stamps, or nothing when it is no such file, or ends within a packet.
/// Source: draft-ietf-opsawg-pcap; IEEE 802.1Q for the tag of a VLAN.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace capture {

struct Packet {
  std::chrono::nanoseconds stamp{}; ///< since the epoch
  std::vector<std::byte> bytes;     ///< maybe cut
};

inline std::uint32_t number_at(std::span<const std::byte> bytes, std::size_t at, std::size_t size,
                               bool little) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; ++i)
    number = number << 8U | std::to_integer<std::uint32_t>(bytes[at + (little ? size - 1 - i : i)]);
  return number;
}

/// What is behind the Ethernet header; empty when it is no IP packet.
inline std::span<const std::byte> inside_frame(std::span<const std::byte> frame) {
  constexpr std::uint32_t kVlan = 0x8100, kIpv4 = 0x0800, kIpv6 = 0x86dd;
  for (std::size_t at = 12; at + 2 <= frame.size(); at += 4) {
    const auto type = number_at(frame, at, 2, false);
    if (type == kIpv4 || type == kIpv6) return frame.subspan(at + 2);
    if (type != kVlan) break;
  }
  return {};
}

inline std::optional<std::vector<Packet>> read(std::span<const std::byte> file) {
  constexpr std::uint32_t kMicros = 0xa1b2c3d4, kNanos = 0xa1b23c4d;
  constexpr std::uint32_t kEthernet = 1, kRaw = 101;
  if (file.size() < 24) return std::nullopt;
  const auto magic = number_at(file, 0, 4, true);
  const bool little = magic == kMicros || magic == kNanos;
  const auto field = [&](std::size_t at) { return number_at(file, at, 4, little); };
  const bool nanos = field(0) == kNanos;
  const auto link = field(20) & 0xffffU; // above it: whether frames end with a checksum
  if ((!nanos && field(0) != kMicros) || (link != kEthernet && link != kRaw)) return std::nullopt;
  std::vector<Packet> packets;
  for (file = file.subspan(24); !file.empty();) {
    if (file.size() < 16) return std::nullopt;
    const std::chrono::seconds seconds{field(0)};
    const std::chrono::nanoseconds rest{field(4) * (nanos ? std::uint64_t{1} : std::uint64_t{1'000})};
    const std::size_t size = field(8);
    file = file.subspan(16);
    if (file.size() < size) return std::nullopt;
    const auto bytes = link == kRaw ? file.first(size) : inside_frame(file.first(size));
    if (link == kRaw || !bytes.empty()) packets.push_back({seconds + rest, {bytes.begin(), bytes.end()}});
    file = file.subspan(size);
  }
  return packets;
}

inline std::vector<std::byte> bytes_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

} // namespace capture
