// SPDX-License-Identifier: GPL-2.0-or-later
/// sock_diag: who has an established TCP connection to us right now.
///
/// Source: linux/sock_diag.h, linux/inet_diag.h, sock_diag(7).
#pragma once

#include <optional>

#include <knock/batch.hpp>

#include "wire/message.hpp"

namespace knock::wire {

/// Asks for all established TCP sockets of one family.
Bytes encode_established_dump(Family family, std::uint32_t sequence);

/// The peer and our port of one answer; a v4-mapped peer is IPv4. Returns nothing for other messages.
std::optional<GrantKey> parse_established(const nlmsghdr* message);

} // namespace knock::wire
