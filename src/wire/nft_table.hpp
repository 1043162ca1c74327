// SPDX-License-Identifier: GPL-2.0-or-later
/// What an nf_tables table is made of: its sets and rules, without elements.
///
/// In:     messages of dumps.   Out: requests; handles, flags, set shapes.
/// Source: linux/netfilter/nf_tables.h; libnftnl.
///         Like wire/nftables.hpp, this reads answers to our requests alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "wire/message.hpp"

namespace knock::wire {

bool is_message(const nlmsghdr* message, std::uint16_t type);
/// A dump of this type (NFT_MSG_GET*) of a table, and of a set; empty or null: of all.
Bytes encode_dump(std::uint16_t type, const std::string& table, const char* set, std::uint32_t sequence);
/// The same of all tables of all families.
Bytes encode_whole_dump(std::uint16_t type, std::uint32_t sequence);
/// Of NFPROTO_*, as nft names it.
std::string family_name(std::uint32_t family);

/// The comment in the user data of a table or an element; empty when there is none.
std::string comment_of(std::span<const std::byte> userdata);

Bytes encode_rule_dump(const std::string& table, std::uint32_t sequence);
/// A rule that is replaced or loaded again has another handle.
struct RuleInfo {
  std::uint64_t handle = 0;
  std::string chain{};
  std::string gist{};                       ///< as RuleGist has it, of embed.nft's rules
  std::optional<std::uint16_t> log_group{}; ///< the NFLOG group that it reports to
  bool operator==(const RuleInfo&) const = default;
};
/// Nothing for a message that is no rule.
std::optional<RuleInfo> parse_rule(const nlmsghdr* message);
Bytes encode_chain_dump(const std::string& table, std::uint32_t sequence);
/// A chain that is deleted and made again has another handle; its policy, though, changes in place.
struct ChainInfo {
  std::string table;
  std::string name;
  std::uint64_t handle = 0;
  std::uint32_t flags = 0; ///< NFT_CHAIN_*
  std::uint32_t use = 0;   ///< its rules, and what jumps to it; a commit that is under way counts already
  std::uint32_t hook = 0, priority = 0, policy = 0; ///< of a base chain
  std::string type{};                               ///< likewise; empty: of another chain
  bool operator==(const ChainInfo&) const = default;
};
std::optional<ChainInfo> parse_chain(const nlmsghdr* message);
Bytes encode_set_dump(const std::string& table, std::uint32_t sequence);
Bytes encode_table_dump(std::uint32_t sequence);
/// Answered by the `generation` of nft_event.hpp, by the number and process of the asker.
Bytes encode_generation_get(std::uint32_t sequence);

/// A table as the kernel knows it. A table that is deleted and made again has another handle.
struct TableInfo {
  std::string family; ///< as nft names it
  std::string name;
  std::uint64_t handle = 0;
  std::uint32_t flags = 0; ///< NFT_TABLE_F_*
  std::string comment;
  bool operator==(const TableInfo&) const = default;
};

/// A set as the kernel knows it.
struct SetInfo {
  std::string name;
  std::uint64_t handle = 0;
  std::uint32_t flags = 0; ///< NFT_SET_*
  std::uint32_t key_type = 0;
  std::uint32_t key_bytes = 0;
  std::uint32_t size = 0; ///< 0: unlimited
  std::uint32_t data_type = 0;
  std::uint64_t timeout = 0; ///< of an element that says none, in milliseconds; 0: it has no end
  bool operator==(const SetInfo&) const = default;
};
std::optional<SetInfo> parse_set(const nlmsghdr* message);
std::optional<TableInfo> parse_table(const nlmsghdr* message);

} // namespace knock::wire
