// SPDX-License-Identifier: GPL-2.0-or-later
// What others do to the table of straw, and what the kernel tells of it (netlink/table_watch.hpp).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "straw.hpp"

namespace knock::simulation {
namespace {

constexpr std::size_t kOneChain = 1; // rules of it

void append_keys(const ElementSet& set, Instant now, std::vector<GrantKey>& keys) {
  for (const auto& [key, placed] : set.placed)
    if (placed.ends > now) keys.push_back(key);
}

/// The set at `pick` of those that are there.
std::optional<ElementSet>* nth_set(Table& table, std::size_t pick) {
  std::vector<std::optional<ElementSet>*> there;
  for (auto& set : table.sets)
    if (set) there.push_back(&set);
  return there.empty() ? nullptr : there[pick % there.size()];
}

Disturbance flush_set(Table& table, std::size_t pick, Instant now) {
  Disturbance found;
  if (auto* set = nth_set(table, pick)) {
    append_keys(**set, now, found.removed);
    (*set)->placed.clear();
    (*set)->displaced = 0;
  }
  return found;
}

/// A set can go only when no rule uses it.
Disturbance delete_set(Table& table, std::size_t pick) {
  table.rules = 0;
  if (auto* set = nth_set(table, pick)) set->reset();
  return {.broken = true, .set_made = false, .changed = false, .removed = {}, .by = {}, .overran = false};
}

Disturbance delete_element(Table& table, std::size_t pick, Instant now) {
  Disturbance found;
  std::vector<GrantKey> there;
  for (const auto& set : table.sets)
    if (set) append_keys(*set, now, there);
  if (there.empty()) return found;
  const auto key = there[pick % there.size()];
  table.sets[Table::index_of(key.set, key.source.family)]->placed.erase(key);
  found.removed.push_back(key);
  return found;
}

Disturbance unguard(Table& table, std::size_t pick, Instant now) {
  Disturbance found;
  const auto there = table.guarded_now(now);
  if (there.empty()) return found;
  table.guarded->erase(there[pick % there.size()].port);
  found.broken = true;
  return found;
}

bool add_element(Table& table, const Change& element, Instant now) {
  auto& set = table.sets[Table::index_of(element.key.set, element.key.source.family)];
  if (!set || table.find(element.key, now) != nullptr)
    return false; // there: its end would change, from 6.12 on
  if (set->size != 0 && set->placed.size() + set->displaced >= set->size) return false;
  if (set->placed.contains(element.key)) ++set->displaced;
  const auto ends = element.timeout == Element::kEndless ? kNever : now + element.timeout;
  set->placed[element.key] = {ends, element.comment, {}, element.uses, 0, element.target};
  return true;
}

} // namespace

void Straw::list() {
  disk.listing = table;
  disk.listed = now;
}

void Straw::load_listing(bool anew) {
  if (!disk.listing) return;
  auto next = anew ? Table{} : table.value_or(Table{});
  if (!next.load_listed(*disk.listing, disk.listed, now)) return;
  for (const auto& set : next.sets)
    if (set)
      for (const auto& [key, placed] : set->placed)
        if (placed.ends > now && (anew || !table || table->find(key, now) == nullptr))
          others.put.push_back({.key = key, .timeout = placed.left(now), .comment = placed.comment});
  const bool keeps_sets = embed && !anew && table && table->has_all_sets();
  const bool broken = anew && table;
  table = std::move(next);
  if (!keeps_sets) table->handle = ++handles_;
  tell({.broken = broken, .set_made = true, .changed = true, .removed = {}, .by = {}, .overran = false});
}

/// As src/ctl/off_alone.cpp: its file first. Nothing but tables of ours, and of the admin's the static sets.
void Straw::off_alone(bool whole) {
  const auto at_ms = stamp();
  others.off = at_ms;
  others.off_whole = whole;
  disk.off = fmt::format("{}.{:03}\n", at_ms / 1'000, at_ms % 1'000);
  if (!whole) return;
  disk.saved = {};
  disk.boot_file.reset();
  const bool guards = table && table->guarded && !table->guarded->empty();
  if (embed && (!guards || !table->has_all_sets())) return;
  if (embed) table->guarded.emplace();
  const bool broken = embed || table;
  if (!embed) table.reset();
  if (broken)
    tell({.broken = true, .set_made = false, .changed = false, .removed = {}, .by = {}, .overran = false});
}

void Straw::disturb(const Foreign& foreign) {
  using Kind = Foreign::Kind;
  const auto boot_file = [&](bool broken) {
    if (embed) {
      load_admins();
      return tell(
          {.broken = broken, .set_made = true, .changed = true, .removed = {}, .by = {}, .overran = false});
    }
    if (!disk.saved.config) { // flush ruleset alone
      if (broken)
        tell(
            {.broken = true, .set_made = false, .changed = false, .removed = {}, .by = {}, .overran = false});
      return;
    }
    auto next = table.value_or(Table{});
    next.load(*disk.saved.config, disk.saved.sets, now, resizes);
    table = std::move(next);
    table->handle = ++handles_;
    tell({.broken = broken, .set_made = true, .changed = true, .removed = {}, .by = {}, .overran = false});
  };
  if (foreign.kind == Kind::load_over)
    return disk.saved.config || embed ? boot_file(!embed && table && table->rules != 0) : void();
  if (foreign.kind == Kind::off_alone) return off_alone(foreign.pick != 0);
  if (foreign.kind == Kind::load_listed || foreign.kind == Kind::load_listed_anew)
    return load_listing(foreign.kind == Kind::load_listed_anew);
  if (!table) return;
  table->collect(now);
  switch (foreign.kind) {
  case Kind::delete_table:
    table.reset();
    return tell(
        {.broken = true, .set_made = false, .changed = false, .removed = {}, .by = {}, .overran = false});
  case Kind::load_anew: table.reset(); return boot_file(true);
  case Kind::delete_set: return tell(delete_set(*table, foreign.pick));
  case Kind::flush_set: return tell(flush_set(*table, foreign.pick, now));
  case Kind::flush_rules:
    if (table->rules == 0) return;
    table->rules -= kOneChain;
    return tell(
        {.broken = true, .set_made = false, .changed = false, .removed = {}, .by = {}, .overran = false});
  case Kind::delete_element: return tell(delete_element(*table, foreign.pick, now));
  case Kind::add_element: {
    Disturbance found;
    found.changed = add_element(*table, foreign.element, now);
    return tell(std::move(found));
  }
  case Kind::unguard: return tell(unguard(*table, foreign.pick, now));
  case Kind::load_over:
  case Kind::load_listed:
  case Kind::load_listed_anew:
  case Kind::off_alone: break;
  }
}

} // namespace knock::simulation
