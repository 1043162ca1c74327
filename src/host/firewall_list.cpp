// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/firewall_list.hpp"

#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "netlink/ruleset.hpp"

namespace knock::host {
namespace {

constexpr std::size_t kMaxSets = 64; // each is a question of its own

using TableName = std::pair<std::string, std::string>; // family, name

/// Whether nft takes it as it stands: the kernel allows any bytes in a name.
bool is_plain(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
  });
}

std::string ask(const std::string& what) {
  return netlink::list_terse("list " + what).value_or("");
}

/// A table with a flag is asked for by its parts: nft 1.0.6 frees the name of the flag before it prints it, and ends
/// by a signal, or not, as chance has it. Sets and the like come from all tables of the family.
void ask_for_parts(const wire::TableInfo& table, std::vector<std::string>& listings) {
  for (const auto* parts : {"sets", "maps", "flowtables", "chains"})
    listings.push_back(ask(fmt::format("{} {}", parts, table.family)));
  const auto known = parse_firewall({listings.back()}, {});
  for (const auto& [name, chain] : known.chains)
    if (chain.family == table.family && chain.table == table.name && is_plain(chain.name))
      listings.push_back(ask(fmt::format("chain {} {} {}", chain.family, chain.table, chain.name)));
}

/// Of addresses there may be a million, and none is an ordinary source: they are not asked for.
void read_small_sets(Firewall& firewall) {
  std::vector<Name> wanted;
  for (const auto& [name, set] : firewall.sets) {
    const bool addresses = set.type.dump().find("_addr") != std::string::npos;
    const auto& [family, table, own] = name;
    if (!set.elements && (!addresses || set.map) && is_plain(table) && is_plain(own) &&
        wanted.size() < kMaxSets)
      wanted.push_back(name);
  }
  for (const auto& [family, table, name] : wanted) {
    const auto* kind = firewall.sets[{family, table, name}].map ? "map" : "set";
    read_elements(
        netlink::list_ruleset(fmt::format("list {} {} {} {}", kind, family, table, name)).value_or(""),
        firewall);
  }
}

} // namespace

Firewall list_firewall(const Config& config) {
  const auto tables = netlink::list_tables();
  if (!tables) return {};       // libnftables would write to standard error itself
  std::set<TableName> left_out; // what is dormant judges no packet
  if (config.nft.mode == Mode::gate) left_out.emplace("inet", config.nft.table);
  for (const auto& table : *tables)
    if ((table.flags & NFT_TABLE_F_DORMANT) != 0) left_out.emplace(table.family, table.name);
  std::vector<std::string> listings;
  for (const auto& table : *tables) {
    if (left_out.contains({table.family, table.name}) || !is_plain(table.name)) continue;
    if (table.flags != 0)
      ask_for_parts(table, listings);
    else
      listings.push_back(ask(fmt::format("table {} {}", table.family, table.name)));
  }
  auto firewall =
      parse_firewall(listings, netlink::list_extensions().value_or(std::vector<wire::ExtendedRule>{}));
  const auto is_left_out = [&](const Name& name) {
    return left_out.contains({std::get<0>(name), std::get<1>(name)});
  };
  std::erase_if(firewall.chains, [&](const auto& one) { return is_left_out(one.first); });
  std::erase_if(firewall.sets, [&](const auto& one) { return is_left_out(one.first); });
  std::erase_if(firewall.flowtables, is_left_out);
  read_small_sets(firewall);
  return firewall;
}

} // namespace knock::host
