// SPDX-License-Identifier: GPL-2.0-or-later
/// Frame: a packet of a recording, with what its link puts before it.
///
/// In:     bytes as tcpdump or Wireshark wrote them. Hostile: the admin may be given the file by a stranger.
/// Out:    the packet from its network header on, or nothing where there is none.
/// Source: pcap-linktype(7); IEEE 802.1Q; linux/if_packet.h (PACKET_*); nfnetlink_log.h (NFULA_PAYLOAD).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace knock::wire {

/// By their numbers in libpcap on Linux.
enum class Link : int {
  ethernet = 1,
  raw = 12,     ///< IPv4 or IPv6, as each packet says
  cooked = 113, ///< tcpdump -i any, up to libpcap 1.9
  ipv4 = 228,
  ipv6 = 229,
  nflog = 239,   ///< tcpdump -i nflog:40
  cooked2 = 276, ///< tcpdump -i any
};

/// Returns nothing for a link that is not read.
std::optional<Link> link_of(int number);

struct Frame {
  std::span<const std::byte> packet;
  bool sent = false;  ///< by the machine that recorded it, as far as its link says that
  bool group = false; ///< to a broadcast or multicast address of the link
};

/// Returns nothing when there is no IP packet in it, or it is cut before that.
std::optional<Frame> parse_frame(Link link, std::span<const std::byte> bytes);

} // namespace knock::wire
