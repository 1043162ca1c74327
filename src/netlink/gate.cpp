// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/gate.hpp"

#include <linux/netfilter/nf_tables.h>

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
    const bool ends = shape.definition.find("timeout") != std::string_view::npos;
    if (found != sets.end() && found->second.key_type == shape.key_type &&
        found->second.key_bytes == shape.key_bytes && ((found->second.flags & NFT_SET_TIMEOUT) != 0) == ends)
      continue;
    missing +=
        fmt::format("{} set {} {{ {} }}", found == sets.end() ? "; add" : "; of the wrong type, make it",
                    shape.name, shape.definition);
  }
  if (missing.empty()) return {};
  return fmt::format("in table inet {}{} (embed.nft has them all)", table, missing.substr(1));
}

/// Whether another made the table that we would load over.
bool is_taken(const Config& config, const wire::TableInfo& table) {
  return config.nft.mode == Mode::gate && table.handle != 0 && !table.comment.starts_with(kTableComment);
}

/// Nothing for one made by hand, without an end: not ours to judge.
std::optional<Element> element_of(wire::RawElement raw, GrantSet set) {
  const auto key = wire::decode_grant_key(raw.key, set, raw.key_end);
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

Result<bool> Gate::load(const Config& config, const StaticSets& sets, const Batch& grants) {
  const auto& table = config.nft.table;
  const auto present = nft_.sets(table);
  if (!present) return tl::unexpected(present.error());
  std::string text;
  bool over = false; // a table of ours that stands
  if (config.nft.mode == Mode::embed) {
    if (auto missing = missing_in(*present, table); !missing.empty())
      return tl::unexpected(Error{fmt::format("embed into table inet {}", table), ENOENT, missing});
  } else {
    const auto there = nft_.table(table);
    if (!there) return tl::unexpected(there.error());
    if (is_taken(config, *there)) return tl::unexpected(taken_error(table));
    const auto open4 = present->find("open4");
    const bool resized = open4 != present->end() && open4->second.size != 2ULL * config.limits.grants;
    over = there->handle != 0 && !resized;
    if (resized) text += fmt::format("delete table inet {}\n", table);
    text += rules_text(config);
  }
  text += elements_text(table, config.nft.mode, sets) + batch_text(table, grants);
  auto loaded = load_ruleset(text);
  const bool anew = !loaded && over;
  if (anew) loaded = load_ruleset(fmt::format("delete table inet {}\n", table) + text);
  if (!loaded) return tl::unexpected(loaded.error());
  const auto made = nft_.sets(table);
  loaded_ = (made ? shape(config, *made) : tl::unexpected(made.error())).value_or(Shape{});
  return anew;
}

Result<Gate::Shape> Gate::shape(const Config& config, const std::map<std::string, wire::SetInfo>& sets) {
  const auto shapes = embed_shapes();
  const bool gate = config.nft.mode == Mode::gate;
  auto table = nft_.table(config.nft.table);
  if (!table) return tl::unexpected(table.error());
  Shape shape{std::move(*table), {}, {}};
  for (const auto& [name, set] : sets) {
    const bool ours =
        gate || std::any_of(shapes.begin(), shapes.end(),
                            [&, &name = name](const SetShape& one) { return one.name == name; });
    if (!ours || (set.flags & NFT_SET_ANONYMOUS) != 0) continue;
    auto& [handle, keys] = shape.sets[name];
    handle = set.handle;
    if ((set.flags & NFT_SET_TIMEOUT) != 0) continue;
    auto found = elements(config, name.c_str());
    if (!found) return tl::unexpected(found.error());
    for (const auto& raw : *found)
      keys.emplace(reinterpret_cast<const char*>(raw.key.data()), raw.key.size());
  }
  if (!gate) return shape;
  auto rules = nft_.rules(config.nft.table);
  if (!rules) return tl::unexpected(rules.error());
  shape.rules = std::move(*rules);
  return shape;
}

Result<void> Gate::unload(const Config& config) {
  const auto& name = config.nft.table;
  const auto present = nft_.sets(name);
  if (!present) return tl::unexpected(present.error());
  const auto there = nft_.table(name);
  if (!there) return tl::unexpected(there.error());
  if (config.nft.mode == Mode::embed)
    return present->contains("guarded") ? load_ruleset(elements_text(name, config.nft.mode, {}))
                                        : Result<void>{};
  if (there->handle == 0 || is_taken(config, *there)) return {};
  return load_ruleset(fmt::format("delete table inet {}\n", name));
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
  const auto found = shape(config, *sets);
  if (!found) return tl::unexpected(found.error());
  seen.as_loaded = *found == loaded_;
  seen.taken = is_taken(config, found->table);
  if (const auto open4 = sets->find("open4"); open4 != sets->end() && !seen.taken) {
    seen.there = true;
    seen.set_size = open4->second.size;
  }
  for (const auto& rule : found->rules)
    if (rule.log_group) seen.group = std::min(seen.group.value_or(*rule.log_group), *rule.log_group);
  const auto guarded = elements(config, "guarded");
  if (!guarded) return tl::unexpected(guarded.error());
  for (const auto& raw : *guarded)
    if (const auto port = wire::decode_port_key(raw.key)) seen.guarded.push_back({*port, raw.left});
  std::sort(seen.guarded.begin(), seen.guarded.end());
  const auto overflow = elements(config, "overflow");
  if (!overflow) return tl::unexpected(overflow.error());
  seen.overflow = !overflow->empty();
  return seen;
}

} // namespace knock::netlink
