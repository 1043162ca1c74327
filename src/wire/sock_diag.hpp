// SPDX-License-Identifier: GPL-2.0-or-later
/// sock_diag: the TCP connections of this host right now.
///
/// Source: linux/sock_diag.h, linux/inet_diag.h, sock_diag(7).
#pragma once

#include <optional>

#include <knock/batch.hpp>
#include <knock/flow.hpp>

#include "wire/message.hpp"

namespace knock::wire {

/// Asks for all TCP sockets of one family that are connected, in one direction at least.
Bytes encode_connection_dump(Family family, std::uint32_t sequence);

/// Has this host reset a TCP connection of its own: an ack, or ENOENT.
Bytes encode_connection_end(const Flow& flow, std::uint32_t sequence);

/// Peer, its port and our port of one answer, as a key of the `session` sets; a v4-mapped peer is IPv4.
/// Returns nothing for other messages.
std::optional<GrantKey> parse_connection(const nlmsghdr* message);

} // namespace knock::wire
