// SPDX-License-Identifier: GPL-2.0-or-later
/// Extensions: the matches and targets of iptables that rules of iptables-nft carry as bytes.
///
/// nft's JSON has their names alone.
/// Source: linux/netfilter/nf_tables.h (NFTA_RULE_*, NFTA_MATCH_*, NFTA_TARGET_*).
#pragma once

#include <optional>
#include <string>

#include "wire/message.hpp"

namespace knock::wire {

struct Extension {
  std::string name;
  std::uint32_t revision = 0;
  Bytes info; ///< a struct of linux/netfilter/xt_NAME.h, chosen by `revision`
};

struct ExtendedRule {
  std::string family, table, chain; ///< as nft names them
  std::uint64_t handle = 0;
  std::vector<Extension> extensions; ///< in their order, at least one
};

/// Returns nothing for other messages, and for a rule without extensions.
std::optional<ExtendedRule> parse_extended_rule(const nlmsghdr* message);

} // namespace knock::wire
