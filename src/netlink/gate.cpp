// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/gate.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include <fmt/format.h>

#include <knock/embed.hpp>

#include "netlink/ruleset.hpp"

namespace knock::netlink {
namespace {

/// What of embed.nft the admin's table lacks, as the text to type. Empty when it fits.
std::string missing_in(const Gate::Sets& sets, const std::string& table) {
  if (sets.empty())
    return fmt::format(
        "table inet {} is missing, or holds none of our sets; make a copy of them, and include it there: "
        "knockctl template embed > /etc/nftables-knockgate.nft",
        table);
  std::string missing;
  for (const auto& shape : embed_shapes()) {
    const auto found = sets.find(std::string{shape.name});
    std::uint32_t flags = 0;
    if (shape.definition.find("timeout") != std::string_view::npos) flags |= NFT_SET_TIMEOUT;
    if (shape.definition.find("interval") != std::string_view::npos) flags |= NFT_SET_INTERVAL;
    if (found != sets.end() && found->second.key_type == shape.key_type &&
        found->second.key_bytes == shape.key_bytes &&
        (found->second.flags & (NFT_SET_TIMEOUT | NFT_SET_INTERVAL)) == flags)
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

/// Nothing for what no grant has: of all sources, or of a range of them.
std::optional<Element> element_of(wire::RawElement raw, GrantSet set) {
  const auto key = wire::decode_grant_key(raw.key, set, raw.key_end);
  if (!key) return std::nullopt;
  const auto target = wire::decode_target(raw.data);
  return Element{*key, raw.left.value_or(Element::kEndless), std::move(raw.comment), raw.traffic,
                 target.value_or(Target{})};
}

/// An element of a static set: all of it that says which packets it is about.
std::string bytes_of(const wire::RawElement& raw) {
  auto text = fmt::format("{} {} ", raw.flags, raw.statements);
  for (const auto* bytes : {&raw.key, &raw.key_end})
    text.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  return text;
}

/// Statements that take away chains which no template has. One that a map of another hand leads to cannot go.
std::string without_aliens(const std::string& table, const std::vector<wire::ChainInfo>& chains) {
  std::string text;
  for (const auto& chain : chains) {
    if ((chain.flags & NFT_CHAIN_BINDING) != 0) continue; // goes with its rule
    const bool begins = !chain.type.empty();
    if (!is_template_chain(chain.name, begins))
      text += fmt::format("delete chain inet {} {}\n", table, chain.name);
    else if (begins) // one that the configuration does not need any more stays, and lets pass
      text += fmt::format("add chain inet {} {} {{ policy accept; }}\n", table, chain.name);
  }
  return text;
}

/// That our rules report to, in the chains that the templates have for it. A rule of another hand logs elsewhere.
std::optional<std::uint16_t> first_group(const std::vector<wire::RuleInfo>& rules, std::string_view prefix) {
  std::optional<std::uint16_t> first;
  const auto reports = [&](std::string_view chain) {
    if (!chain.starts_with(prefix)) return false;
    chain.remove_prefix(prefix.size());
    return chain.starts_with("at_once") || chain.starts_with("batched");
  };
  for (const auto& rule : rules)
    if (rule.log_group && reports(rule.chain))
      first = std::min(first.value_or(*rule.log_group), *rule.log_group);
  return first;
}

} // namespace

std::string emptying_text(const std::string& table, const std::map<std::string, wire::SetInfo>& present) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  std::string text;
  if (table.find_first_not_of(kPlain) != table.npos) return {}; // nft would read statements of another hand
  for (const char* ours : {"open4", "open6", "guarded", "knocks"})
    if (!present.contains(ours)) return {};
  for (const char* set : {"ours", "ours_wide", "guarded", "knocks", "knock_icmp", "knock_icmp6", "kn1",
                          "kn1_icmp", "kn1_icmp6"})
    if (present.contains(set)) text += fmt::format("flush set inet {} {}\n", table, set);
  return text;
}

Result<Gate> Gate::open() {
  auto nft = Nftables::open();
  if (!nft) return tl::unexpected(nft.error());
  return Gate(std::move(*nft));
}

Result<bool> Gate::load_once(const Config& config, const StaticSets& sets, const Batch& grants) {
  const auto& table = config.nft.table;
  const auto present = nft_.sets(table);
  if (!present) return tl::unexpected(present.error());
  std::string text, rest; // what goes away
  bool over = false;      // a table of ours that stands
  bool anew = false;
  if (config.nft.mode == Mode::embed) {
    if (auto missing = missing_in(*present, table); !missing.empty())
      return tl::unexpected(Error{fmt::format("embed into table inet {}", table), ENOENT, missing});
  } else {
    const auto there = nft_.table(table);
    if (!there) return tl::unexpected(there.error());
    if (is_taken(config, *there)) return tl::unexpected(taken_error(table));
    const auto open4 = present->find("open4");
    const bool resized = open4 != present->end() && open4->second.size != 2ULL * config.limits.grants;
    anew = !resized && is_redefined(*present);
    over = there->handle != 0 && !resized && !anew;
    if (resized || anew) text += fmt::format("delete table inet {}\n", table);
    text += rules_text(config);
    const auto chains = over ? nft_.chains(table) : std::vector<wire::ChainInfo>{};
    if (!chains) return tl::unexpected(chains.error());
    rest = without_aliens(table, *chains);
  }
  if (over || config.nft.mode == Mode::embed)
    for (const auto& set : alien_)
      if (present->contains(set)) rest += fmt::format("flush set inet {} {}\n", table, set);
  const auto elements = elements_text(table, config.nft.mode, sets) + batch_text(table, grants);
  auto loaded = load_ruleset(text + rest + elements);
  anew = anew || !alien_.empty();
  if (!loaded && over) {
    anew = true;
    loaded = load_ruleset(fmt::format("delete table inet {}\n", table) + text + elements);
  }
  if (!loaded) return tl::unexpected(loaded.error());
  alien_.clear();
  const auto made = nft_.sets(table);
  loaded_ = (made ? shape(config, *made) : tl::unexpected(made.error())).value_or(Shape{});
  return anew;
}

Result<bool> Gate::load(const Config& config, const StaticSets& sets, const Batch& grants) {
  constexpr int kRaces = 3; // who commits all the time, commits elsewhere: else it is heard
  bool anew = false;
  for (int races = 0;; ++races) {
    const auto before = nft_.generation();
    const auto loaded = load_once(config, sets, grants);
    if (!loaded && races == 0) return loaded;
    if (!loaded) return anew; // it was loaded, and another took it away since: that is heard
    anew = anew || *loaded;
    const auto after = nft_.generation();
    const bool alone = before && after && *after == *before + 1;
    if (races < kRaces && !alone) continue;
    crossed_ = alone ? std::pair{*after, *after}
                     : std::pair{before.value_or(0), after.value_or(before.value_or(0) - 1)};
    free_earlier(config);
    return anew;
  }
}

void Gate::free_earlier(const Config& config) {
  const auto tables = nft_.tables();
  for (const auto& table : tables.value_or(std::vector<wire::TableInfo>{})) {
    if (table.name == config.nft.table) continue;
    const bool whole = table.comment.starts_with(kTableComment);
    const auto text = whole ? fmt::format("delete table inet handle {}\n", table.handle)
                            : emptying_text(table.name, nft_.sets(table.name).value_or(Sets{}));
    if (text.empty()) continue;
    const auto rules = nft_.rules(table.name);
    if (rules && first_group(*rules, whole ? "" : "knockgate_") == config.nflog.group)
      (void)load_ruleset(text);
  }
}

void Gate::hear(const Disturbance& disturbance) {
  const auto length = crossed_.second - crossed_.first; // counts begin anew behind the last number
  const bool crossed = disturbance.changed && disturbance.count - crossed_.first - 1 < length;
  if (disturbance.overran ? length != 0 : crossed) loaded_ = {};
}

bool Gate::is_redefined(const Sets& present) const {
  return std::any_of(loaded_.sets.begin(), loaded_.sets.end(), [&](const auto& one) {
    const auto found = present.find(one.first);
    if (found == present.end()) return false;
    auto info = found->second;
    info.handle = one.second.first.handle;
    return info != one.second.first;
  });
}

Result<Gate::Shape> Gate::shape(const Config& config, const Sets& sets) {
  const auto shapes = embed_shapes();
  const bool gate = config.nft.mode == Mode::gate;
  auto table = nft_.table(config.nft.table);
  if (!table) return tl::unexpected(table.error());
  Shape shape{std::move(*table), {}, {}, {}};
  for (const auto& [name, set] : sets) {
    const bool ours =
        gate || std::any_of(shapes.begin(), shapes.end(),
                            [&, &name = name](const SetShape& one) { return one.name == name; });
    if (!ours || (set.flags & NFT_SET_ANONYMOUS) != 0) continue;
    auto& [info, keys] = shape.sets[name];
    info = set;
    if ((set.flags & NFT_SET_TIMEOUT) != 0) continue;
    auto found = elements(config, name.c_str());
    if (!found) return tl::unexpected(found.error());
    for (const auto& raw : *found) keys.insert(bytes_of(raw));
  }
  if (!gate) return shape;
  auto chains = nft_.chains(config.nft.table);
  if (!chains) return tl::unexpected(chains.error());
  shape.chains = std::move(*chains);
  for (auto& chain : shape.chains)
    chain.use = 0; // the rules say it, and each commit counts before it is done
  auto rules = nft_.rules(config.nft.table);
  if (!rules) return tl::unexpected(rules.error());
  shape.rules = std::move(*rules);
  return shape;
}

Result<void> Gate::look_embedded(const Config& config, const wire::TableInfo& table, TableSeen& seen) {
  const auto chains = nft_.chains(config.nft.table);
  if (!chains) return tl::unexpected(chains.error());
  const auto rules = nft_.rules(config.nft.table);
  if (!rules) return tl::unexpected(rules.error());
  std::map<std::string_view, std::vector<std::string>> gists;
  for (const auto& rule : *rules) gists[rule.chain].push_back(rule.gist);
  std::vector<ChainSeen> all;
  for (const auto& chain : *chains) {
    const bool input = !chain.type.empty() && chain.hook == NF_INET_LOCAL_IN;
    auto& own = gists[chain.name];
    all.push_back({chain.name, input, chain.use > own.size(), own});
  }
  seen.faults = embed_faults(config, all, (table.flags & NFT_TABLE_F_DORMANT) != 0);
  seen.group = first_group(*rules, "knockgate_"); // of the admin's own we know nothing
  return {};
}

Result<void> Gate::unload(const Config& config) {
  const auto& name = config.nft.table;
  const auto present = nft_.sets(name);
  if (!present) return tl::unexpected(present.error());
  const auto there = nft_.table(name);
  if (!there) return tl::unexpected(there.error());
  if (config.nft.mode == Mode::embed) {
    const auto text = emptying_text(name, *present);
    return text.empty() ? Result<void>{} : load_ruleset(text);
  }
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
  alien_.clear();
  for (const auto set : kGrantSets)
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      const std::string name{set_name(set, family)};
      auto found = elements(config, name.c_str());
      if (!found) return tl::unexpected(found.error());
      for (auto& raw : *found)
        if (auto element = element_of(std::move(raw), set))
          grants.push_back(std::move(*element));
        else
          alien_.insert(name);
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
  seen.as_loaded = *found == loaded_ && alien_.empty();
  seen.taken = is_taken(config, found->table);
  if (const auto open4 = sets->find("open4"); open4 != sets->end() && !seen.taken) {
    seen.there = true;
    seen.set_size = open4->second.size;
  }
  seen.group = first_group(found->rules, "");
  const auto guarded = elements(config, "guarded");
  if (!guarded) return tl::unexpected(guarded.error());
  for (const auto& raw : *guarded) {
    const auto port = wire::decode_port_key(raw.key);
    if (port) seen.guarded.push_back({*port, raw.left});
    seen.as_loaded =
        seen.as_loaded && port && raw.statements == 0; // a limit lets pass what it does not count
  }
  std::sort(seen.guarded.begin(), seen.guarded.end());
  const auto overflow = elements(config, "overflow");
  if (!overflow) return tl::unexpected(overflow.error());
  seen.overflow = !overflow->empty();
  if (config.nft.mode == Mode::embed && seen.there)
    if (auto done = look_embedded(config, found->table, seen); !done) return tl::unexpected(done.error());
  return seen;
}

} // namespace knock::netlink
