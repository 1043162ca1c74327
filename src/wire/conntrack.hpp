// SPDX-License-Identifier: GPL-2.0-or-later
/// conntrack: the connections that the kernel tracks, as they begin, end, and are asked for.
///
/// In:     messages of ctnetlink.   Out: tcp and udp flows as the client sees them, that is before DNAT.
/// Ends:   one flow may be told to have ended several times: CLOSE or LAST_ACK, TIME_WAIT, DESTROY. `id` says
///         which it is.
/// Source: linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c.
#pragma once

#include <optional>

#include <knock/flow.hpp>

#include "wire/message.hpp"

namespace knock::wire {

/// Reads a message of the groups NEW, UPDATE, DESTROY. A flow that was answered is told to be so with each of
/// its updates. Returns nothing when it says none of the three.
std::optional<FlowEvent> parse_flow_event(const nlmsghdr* message);

/// Reads an answer to a dump or a get. Returns nothing when it is closed already.
std::optional<Flow> parse_flow(const nlmsghdr* message);

/// Asks for all flows of one family.
Bytes encode_flow_dump(Family family, std::uint32_t sequence);

/// Asks for the flow between the ends of `flow`, whatever its id: an answer and an ack, or ENOENT.
Bytes encode_flow_get(const Flow& flow, std::uint32_t sequence);

/// Has the kernel forget just this flow, by its id: an ack, or ENOENT.
Bytes encode_flow_delete(const Flow& flow, std::uint32_t sequence);

} // namespace knock::wire
