// SPDX-License-Identifier: GPL-2.0-or-later
/// NFLOG: reports of packets, and the messages that bind and set up a group.
///
/// In:     datagrams of a NETLINK_NETFILTER socket.   Out: each logged packet as a view into them.
/// Source: linux/netfilter/nfnetlink_log.h, net/netfilter/nfnetlink_log.c (limits of the settings).
#pragma once

#include <chrono>
#include <optional>

#include "wire/message.hpp"

namespace knock::wire {

/// One logged packet. Valid as long as the datagram it was read from.
struct Logged {
  std::uint16_t group = 0;
  std::optional<std::uint32_t> sequence; ///< of its group; a gap is a loss
  /// When the kernel saw it, by CLOCK_REALTIME. Linux 6.6 and newer give it always, older ones while a socket
  /// of the machine asked for SO_TIMESTAMP; in reports of the hooks prerouting, input and forward.
  std::optional<std::chrono::nanoseconds> stamp;
  std::span<const std::byte> payload; ///< from the network header on
};

/// What an instance is set to. The kernel ignores values out of range without an error, so these are inside.
struct NflogSettings {
  std::uint32_t copy_bytes = 128;
  std::uint32_t queue_threshold = 64;
  std::uint32_t timeout_centiseconds = 1;
  std::uint32_t buffer_bytes = 64U << 10U; ///< NLMSG_GOODSIZE..131,072
};

Bytes encode_nflog_bind(std::uint16_t group, std::uint32_t sequence);
/// How much of each packet is reported. Without an ack: it would be read by who reads the reports.
Bytes encode_nflog_copy(std::uint16_t group, std::uint32_t copy_bytes);
Bytes encode_nflog_settings(std::uint16_t group, std::uint32_t sequence, const NflogSettings& settings);

struct NflogDatagram {
  std::uint32_t malformed = 0; ///< messages that were no logged packet
  std::optional<Ack> ack;      ///< the last NLMSG_ERROR seen
};

/// Appends the packets of one datagram to `out`, which keeps its capacity over calls.
NflogDatagram parse_nflog(std::span<const std::byte> datagram, std::vector<Logged>& out);

} // namespace knock::wire
