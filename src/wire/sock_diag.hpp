// SPDX-License-Identifier: GPL-2.0-or-later
/// sock_diag: the TCP connections of this host right now.
///
/// Source: linux/sock_diag.h, linux/inet_diag.h, sock_diag(7).
#pragma once

#include <optional>

#include <knock/flow.hpp>

#include "wire/message.hpp"

namespace knock::wire {

/// Asks for all TCP sockets of one family that are connected, in one direction at least.
Bytes encode_connection_dump(Family family, std::uint32_t sequence);

/// Has this host reset a TCP connection of its own: an ack, or ENOENT.
Bytes encode_connection_end(const Flow& flow, std::uint32_t sequence);

/// One answer, as its peer sees the connection: the peer is the source, also of what this host began. A v4-mapped address
/// is IPv4. Returns nothing for other messages.
std::optional<Flow> parse_connection(const nlmsghdr* message);

} // namespace knock::wire
