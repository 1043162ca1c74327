// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/gate.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include <fmt/format.h>

#include "netlink/ruleset.hpp"

namespace knock::netlink {
namespace {

using Sets = std::map<std::string, wire::SetInfo>;

/// What of embed.nft the admin's table lacks, as the text to type. Empty when it fits.
std::string missing_in(const Sets& sets, const std::string& table) {
  if (sets.empty())
    return fmt::format("table inet {} is missing, or holds none of our sets; put this line into it: "
                       "include \"/usr/share/knockgate/nft/embed.nft\"",
                       table);
  std::string missing;
  for (const auto& shape : embed_shapes()) {
    const auto found = sets.find(std::string{shape.name});
    if (found != sets.end() && found->second.key_type == shape.key_type &&
        found->second.key_bytes == shape.key_bytes)
      continue;
    missing +=
        fmt::format("{} set {} {{ {} }}", found == sets.end() ? "; add" : "; of the wrong type, make it",
                    shape.name, shape.definition);
  }
  if (missing.empty()) return {};
  return fmt::format("in table inet {}{} (embed.nft has them all)", table, missing.substr(1));
}

/// Nothing for one made by hand, without an end: not ours to judge.
std::optional<Element> element_of(wire::RawElement raw, GrantSet set) {
  const auto key = wire::decode_grant_key(raw.key, set);
  if (!key || !raw.left) return std::nullopt;
  const auto target = wire::decode_target(raw.data);
  return Element{*key, *raw.left, std::move(raw.comment), raw.traffic, target.value_or(Target{})};
}

} // namespace

Result<Gate> Gate::open() {
  auto nft = Nftables::open();
  if (!nft) return tl::unexpected(nft.error());
  return Gate(std::move(*nft));
}

Result<void> Gate::load(const Config& config, const StaticSets& sets, const Batch& grants,
                        const Batch& held) {
  const auto& table = config.nft.table;
  const auto present = nft_.sets(table);
  if (!present) return tl::unexpected(present.error());
  std::string text;
  if (config.nft.mode == Mode::embed) {
    if (auto missing = missing_in(*present, table); !missing.empty())
      return tl::unexpected(Error{fmt::format("embed into table inet {}", table), ENOENT, missing});
  } else {
    const auto open4 = present->find("open4");
    const bool resized = open4 != present->end() && open4->second.size != 2ULL * config.limits.grants;
    if (resized) text += fmt::format("delete table inet {}\n", table);
    text += rules_text(config);
    if (resized) text += batch_text(table, held);
  }
  text += elements_text(table, config.nft.mode, sets) + batch_text(table, grants);
  if (auto loaded = load_ruleset(text); !loaded) return loaded;
  if (config.nft.mode == Mode::gate) rules_ = nft_.rules(table).value_or(0);
  return {};
}

Result<void> Gate::unload(const Config& config) {
  const auto present = loaded(config);
  if (!present) return tl::unexpected(present.error());
  if (!*present) return {};
  if (config.nft.mode == Mode::embed)
    return load_ruleset(elements_text(config.nft.table, config.nft.mode, {}));
  return load_ruleset(fmt::format("delete table inet {}\n", config.nft.table));
}

Result<bool> Gate::loaded(const Config& config) {
  const auto present = nft_.sets(config.nft.table);
  if (!present) return tl::unexpected(present.error());
  return present->contains("open4");
}

Result<std::vector<wire::RawElement>> Gate::elements(const Config& config, const char* set) {
  auto found = nft_.elements(config.nft.table, set);
  if (!found && found.error().code == ENOENT) return std::vector<wire::RawElement>{};
  return found;
}

Result<std::vector<Element>> Gate::grants(const Config& config) {
  std::vector<Element> grants;
  for (const auto set : kGrantSets)
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      auto found = elements(config, std::string(set_name(set, family)).c_str());
      if (!found) return tl::unexpected(found.error());
      for (auto& raw : *found)
        if (auto element = element_of(std::move(raw), set)) grants.push_back(std::move(*element));
    }
  return grants;
}

Result<std::vector<Element>> Gate::find(const Config& config, std::span<const GrantKey> keys) {
  std::vector<Element> found;
  for (const auto set : kGrantSets)
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      std::vector<GrantKey> here;
      std::copy_if(keys.begin(), keys.end(), std::back_inserter(here),
                   [&](const GrantKey& key) { return key.set == set && key.source.family == family; });
      auto raws = nft_.find(config.nft.table, here);
      if (!raws) return tl::unexpected(raws.error());
      for (auto& raw : *raws)
        if (auto element = element_of(std::move(raw), set)) found.push_back(std::move(*element));
    }
  return found;
}

Result<void> Gate::commit(const Config& config, const Batch& batch, std::vector<Refused>* refused,
                          bool where_there) {
  const auto& table = config.nft.table;
  if (!where_there) return nft_.commit(batch, table, refused);
  const auto sets = nft_.sets(table);
  if (!sets) return tl::unexpected(sets.error());
  auto there = batch;
  std::erase_if(there, [&](const Change& change) {
    return !sets->contains(std::string{set_name(change.key.set, change.key.source.family)});
  });
  return nft_.commit(there, table);
}

Result<TableSeen> Gate::look(const Config& config) {
  TableSeen seen;
  const auto sets = nft_.sets(config.nft.table);
  if (!sets) return tl::unexpected(sets.error());
  if (const auto open4 = sets->find("open4"); open4 != sets->end()) {
    seen.there = true;
    seen.set_size = open4->second.size;
  }
  const auto guarded = elements(config, "guarded");
  if (!guarded) return tl::unexpected(guarded.error());
  for (const auto& raw : *guarded)
    if (const auto port = wire::decode_port_key(raw.key)) seen.guarded.push_back({*port, raw.left});
  std::sort(seen.guarded.begin(), seen.guarded.end());
  const auto overflow = elements(config, "overflow");
  if (!overflow) return tl::unexpected(overflow.error());
  seen.overflow = !overflow->empty();
  seen.rules_as_loaded = true;
  if (config.nft.mode == Mode::embed) return seen;
  const auto rules = nft_.rules(config.nft.table);
  if (!rules) return tl::unexpected(rules.error());
  seen.rules_as_loaded = *rules == rules_;
  return seen;
}

} // namespace knock::netlink
