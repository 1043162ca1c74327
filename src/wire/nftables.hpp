// SPDX-License-Identifier: GPL-2.0-or-later
/// nf_tables: a Batch as netlink bytes, and what the kernel says of elements.
///
/// In:     Batch values; datagrams of dumps.   Out: bytes to send; elements.
/// Source: linux/netfilter/nf_tables.h; libnftnl. Golden bytes: tests/wire.
///         libnftnl's own walks believe what they read. They are given answers to our requests alone: these
///         come from the kernel, since to send to another netlink socket takes CAP_NET_ADMIN.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <knock/batch.hpp>

#include "wire/message.hpp"

namespace knock::wire {

/// A batch ready to be sent in one sendmsg, and how to read the answers.
struct EncodedBatch {
  Bytes bytes;
  std::uint32_t first_sequence = 0; ///< BATCH_BEGIN; an error with this number refuses the whole
  std::uint32_t last_sequence = 0;  ///< the one message that asks for an ack
  bool removals_there = false;
};

/// The parts of the batch, a message each.
EncodedBatch encode(const Batch& batch, const std::string& table, std::uint32_t sequence,
                    bool removals_there = false);

/// Which changes of `batch` the kernel named when it refused `encoded`, and why. `acks`: the answers with an
/// error, in the order they came. The kernel stops at the first element of a message and goes on with the next
/// message: so of each kElementsPerMessage changes of a set one is named, and more when the batch comes again
/// without it. What fails only because an earlier message did is not named; nor does an ack name a change
/// that speaks of no element (a missing table or set).
/// Source: nf_tables_newsetelem and nf_tables_delsetelem, net/netfilter/nf_tables_api.c, Linux 6.1 and newer.
std::vector<Refused> refused_changes(const Batch& batch, const EncodedBatch& encoded,
                                     std::span<const Ack> acks);

Bytes encode_element_dump(const std::string& table, const std::string& set, std::uint32_t sequence);
inline constexpr std::size_t kElementsPerMessage =
    128; // a nested attribute ends at 64 KiB; ours are <= 352 bytes

/// Asks for elements of one set: they come one by one, in this order, then an ack; or ENOENT at the first
/// that is gone. Requires: 1 to kElementsPerMessage keys, of one set and family.
Bytes encode_element_get(const std::string& table, std::span<const GrantKey> keys, std::uint32_t sequence);
/// One element of any set of ours, its key still as bytes.
struct RawElement {
  Bytes key;
  Bytes key_end;              ///< of an interval
  Bytes data;                 ///< of a map
  std::uint32_t flags = 0;    ///< NFT_SET_ELEM_*
  std::size_t statements = 0; ///< a counter, a limit: each packet that meets it runs them
  std::optional<Millis> left;
  std::string comment;
  Traffic traffic;
};

/// The elements in the attributes of a message about elements, still as attributes.
std::vector<std::span<const std::byte>> elements_of(std::span<const std::byte> attributes);
/// Appends the elements of one NFT_MSG_NEWSETELEM; a message that is none adds nothing.
void parse_elements(const nlmsghdr* message, std::vector<RawElement>& out);

/// A key of a grant set, of a range its two ends. Returns nothing for another length or a protocol we do not open.
std::optional<GrantKey> decode_grant_key(std::span<const std::byte> key, GrantSet set = GrantSet::open,
                                         std::span<const std::byte> key_end = {});
/// The data of forward4/forward6: address . port.
std::optional<Target> decode_target(std::span<const std::byte> data);
/// A key of guarded and knocks: inet_proto . inet_service.
std::optional<Port> decode_port_key(std::span<const std::byte> key);

} // namespace knock::wire
