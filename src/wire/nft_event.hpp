// SPDX-License-Identifier: GPL-2.0-or-later
/// nf_tables events: what a commit of another process changed, message by message.
///
/// In:     messages of multicast group NFNLGRP_NFTABLES, hostile or not.   Out: NftEvent values.
/// Source: linux/netfilter/nf_tables.h, net/netfilter/nf_tables_api.c (nf_tables_commit, *_notify).
///         Parsed here, attribute by attribute: libnftnl ends the process on messages no kernel sends.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <knock/batch.hpp>

#include "wire/message.hpp"

namespace knock::wire {

struct NftEvent {
  enum class Kind : std::uint8_t {
    generation, ///< the end of one commit; what came before it with the same port id belongs to it
    table_gone,
    set_gone,
    set_made, ///< also for a set that is there and is loaded again
    rules_gone,
    element_gone,
    element_made, ///< needed to tell a refresh (delete, add) from a removal
    made,         ///< a table, chain or rule was made, or its flags changed
    other,        ///< also everything outside family inet
  };
  Kind kind = Kind::other;
  std::string table;
  std::string set;
  std::string chain;             ///< rules_gone; made, but of a table
  std::vector<GrantKey> keys;    ///< elements of a grant set
  std::vector<Bytes> other_keys; ///< elements of any other set
  std::uint32_t port_id = 0;     ///< the netlink socket that committed; 0: the kernel
  std::uint32_t count = 0;   ///< generation: of commits, of all tables of the network namespace
  std::uint32_t process = 0; ///< generation: thread that committed, numbered as in the first pid namespace
  std::string name;          ///< generation: its name, at most 15 bytes of anything
};

/// Returns nothing for a message that is no event of nf_tables.
std::optional<NftEvent> parse_nft_event(const nlmsghdr* message);

/// The grant set and family that a set's name stands for: "open4", "forward6".
struct NamedGrantSet {
  GrantSet set;
  Family family;
  bool operator==(const NamedGrantSet&) const = default;
};
std::optional<NamedGrantSet> grant_set_named(std::string_view name);

} // namespace knock::wire
