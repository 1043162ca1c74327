// SPDX-License-Identifier: GPL-2.0-or-later
#include "straw_table.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace knock::simulation {
namespace {

constexpr std::size_t kElementsPerMessage = 128; // wire/nftables.hpp
constexpr Millis kCollectEvery{1'000};           // gc-interval of a hash set
constexpr std::uint32_t kSessions = 65'535;
constexpr std::array kFilled{GrantSet::open, GrantSet::net, GrantSet::uses, GrantSet::session,
                             GrantSet::range};

/// One set within one transaction: which keys the commands before this one left in it, and how many places
/// they take. A deleted element gives its place back at once, within the transaction.
class Pending {
 public:
  Pending(const ElementSet& set, Instant now)
      : set_(set), now_(now), used_(set.placed.size() + set.displaced) {}

  [[nodiscard]] bool has(const GrantKey& key) const {
    if (const auto it = changed_.find(key); it != changed_.end()) return it->second;
    const auto it = set_.placed.find(key);
    return it != set_.placed.end() && it->second.ends > now_;
  }
  int add(const GrantKey& key, const Target* leads_to) {
    if (key.set == GrantSet::range && overlaps(key)) return EEXIST;
    if (has(key)) return leads_to != nullptr && leads_elsewhere(key, *leads_to) ? EEXIST : 0;
    if (set_.size != 0 && used_ >= set_.size) return ENFILE;
    ++used_;
    changed_[key] = true;
    return 0;
  }
  int remove(const GrantKey& key) {
    if (!has(key)) return ENOENT;
    --used_;
    changed_[key] = false;
    return 0;
  }

 private:
  /// Another range of its source that is there.
  [[nodiscard]] bool overlaps(const GrantKey& key) const {
    const auto meets = [&](const GrantKey& other) {
      return other != key && other.source == key.source && other.port <= range_of(key).last &&
             key.port <= range_of(other).last && has(other);
    };
    return std::any_of(changed_.begin(), changed_.end(), [&](const auto& one) { return meets(one.first); }) ||
           std::any_of(set_.placed.begin(), set_.placed.end(),
                       [&](const auto& one) { return meets(one.first); });
  }
  [[nodiscard]] bool leads_elsewhere(const GrantKey& key, const Target& target) const {
    const auto it = set_.placed.find(key);
    return !changed_.contains(key) && it != set_.placed.end() && it->second.target != target;
  }

  const ElementSet& set_;
  Instant now_;
  std::size_t used_;
  std::map<GrantKey, bool> changed_; // there or not, after the commands so far
};

using Places = std::vector<std::size_t>; // in the batch

/// One message; the kernel stops in it at the first element that it refuses, and names that one.
template<class Act>
void send(const Places& message, Verdict& verdict, Act&& act) {
  for (const auto at : message) {
    const int code = act(at);
    if (code == 0) continue;
    if (verdict.error == 0) verdict.error = code;
    const auto named = [&](const Refused& one) { return one.at == at; };
    if (std::none_of(verdict.refused.begin(), verdict.refused.end(), named))
      verdict.refused.push_back({at, code});
    return;
  }
}

void send_chunk(const Batch& batch, const Places& chunk, Pending& pending, Verdict& verdict) {
  Places puts;
  std::copy_if(chunk.begin(), chunk.end(), std::back_inserter(puts),
               [&](std::size_t at) { return batch[at].kind == Change::Kind::put; });
  send(chunk, verdict, [&](std::size_t at) {
    const auto& key = batch[at].key;
    return pending.add(key, key.set == GrantSet::forward ? &batch[at].held : nullptr);
  });
  send(chunk, verdict, [&](std::size_t at) { return pending.remove(batch[at].key); });
  send(puts, verdict, [&](std::size_t at) { return pending.add(batch[at].key, nullptr); });
}

bool any_enabled(const Config& config, auto&& wants) {
  return std::any_of(config.doors.begin(), config.doors.end(),
                     [&](const Door& door) { return door.enabled && wants(door); });
}

bool forwards(const Config& config) {
  return any_enabled(config, [](const Door& door) { return !door.forwards.empty(); });
}

} // namespace

std::size_t rules_of(const Config& config) {
  constexpr std::size_t kGate = 90, kForward = 3, kCut = 16; // any numbers that differ
  const bool cuts = any_enabled(config, [](const Door& door) { return door.cut; });
  return kGate + (forwards(config) ? kForward : 0) + (cuts ? kCut : 0);
}

std::uint32_t size_of(GrantSet set, const Config& config) {
  if (set == GrantSet::range) return 0;
  return set == GrantSet::session ? kSessions : 2 * config.limits.grants;
}

const Placed* Table::find(const GrantKey& key, Instant now) const {
  const auto* set = set_of(key);
  if (set == nullptr) return nullptr;
  const auto it = set->placed.find(key);
  return it != set->placed.end() && it->second.ends > now ? &it->second : nullptr;
}

Millis Placed::left(Instant now) const {
  return ends == kNever ? Element::kEndless : std::chrono::floor<Millis>(ends - now);
}

std::vector<Element> Table::dump(Instant now) const {
  std::vector<Element> found;
  for (const auto& set : sets)
    if (set)
      for (const auto& [key, placed] : set->placed)
        if (placed.ends > now)
          found.push_back({key, placed.left(now), placed.comment, placed.traffic, placed.target});
  return found;
}

bool Table::is_guarded(Port port, Instant now) const {
  if (!guarded) return false;
  const auto it = guarded->find(port);
  return it != guarded->end() && (!it->second || *it->second > now);
}

std::vector<Guarded> Table::guarded_now(Instant now) const {
  std::vector<Guarded> found;
  if (guarded)
    for (const auto& [port, ends] : *guarded) {
      if (ends && *ends <= now) continue;
      found.push_back({port, ends ? std::optional(std::chrono::floor<Millis>(*ends - now)) : std::nullopt});
    }
  return found;
}

Verdict Table::commit(const Batch& batch, Instant now) {
  collect(now);
  Verdict verdict;
  std::array<Places, 2 * kGrantSets.size()> places;
  for (std::size_t at = 0; at < batch.size(); ++at)
    places[index_of(batch[at].key.set, batch[at].key.source.family)].push_back(at);
  for (std::size_t set = 0; set < sets.size(); ++set)
    if (!places[set].empty() && !sets[set]) return {ENOENT, {}}; // the set is named, no element of it
  for (std::size_t set = 0; set < sets.size(); ++set) {
    if (places[set].empty()) continue;
    Pending pending(*sets[set], now);
    const bool ranges = batch[places[set].front()].key.set == GrantSet::range;
    auto first = places[set].begin(); // of ranges the removals are a list of their own, before the puts
    for (const auto end : {std::stable_partition(first, places[set].end(),
                                                 [&](std::size_t at) {
                                                   return ranges && batch[at].kind == Change::Kind::remove;
                                                 }),
                           places[set].end()})
      while (first != end) {
        const auto next = first + std::min<std::ptrdiff_t>(kElementsPerMessage, end - first);
        send_chunk(batch, {first, next}, pending, verdict);
        first = next;
      }
  }
  if (verdict.error != 0) return verdict;
  for (const auto& change : batch) {
    auto& set = *sets[index_of(change.key.set, change.key.source.family)];
    const auto old = set.placed.find(change.key);
    if (old != set.placed.end() && old->second.ends <= now) ++set.displaced;
    if (old != set.placed.end()) set.placed.erase(old);
    if (change.kind == Change::Kind::put)
      set.placed[change.key] = {now + change.timeout, change.comment, change.traffic, change.uses, 0,
                                change.target};
  }
  return {};
}

void Table::load(const Config& config, const StaticSets& static_sets, Instant now, bool resizes) {
  collect(now);
  for (const auto kind : kGrantSets)
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      auto& set = sets[index_of(kind, family)];
      if (!set && config.nft.mode == Mode::gate && (kind != GrantSet::forward || forwards(config)))
        set = ElementSet{size_of(kind, config), {}, 0};
      else if (set && resizes && config.nft.mode == Mode::gate)
        set->size = size_of(kind, config);
    }
  guarded.emplace();
  for (const auto& [port, left] : static_sets.guarded)
    (*guarded)[port] = left ? std::optional(now + *left) : std::nullopt;
  cut = static_sets.cut;
  if (config.nft.mode == Mode::gate) rules = rules_of(config);
}

bool Table::load_listed(const Table& listing, Instant listed, Instant now) {
  collect(now);
  for (std::size_t at = 0; at < sets.size(); ++at) {
    const auto& from = listing.sets[at];
    if (!from) continue;
    if (!sets[at]) sets[at] = ElementSet{from->size, {}, 0};
    auto& to = *sets[at];
    Pending pending(to, now);
    for (const auto& [key, placed] : from->placed)
      if (placed.ends > listed &&
          pending.add(key, key.set == GrantSet::forward ? &placed.target : nullptr) != 0)
        return false;
    for (const auto& [key, placed] : from->placed) {
      const auto stands = to.placed.find(key);
      if (placed.ends <= listed || (stands != to.placed.end() && stands->second.ends > now)) continue;
      if (stands != to.placed.end()) ++to.displaced;
      auto& put = to.placed[key] = placed;
      put.spent = 0; // its limit begins again
      if (put.ends != kNever) put.ends = now + (placed.ends - listed);
    }
  }
  if (!guarded) guarded.emplace();
  for (const auto& [port, ends] : listing.guarded.value_or(std::map<Port, std::optional<Instant>>{}))
    if (ends.value_or(Instant::max()) > listed && !is_guarded(port, now))
      (*guarded)[port] = ends ? std::optional(now + (*ends - listed)) : std::nullopt;
  cut.insert(cut.end(), listing.cut.begin(), listing.cut.end());
  rules += listing.rules;
  return true;
}

void Table::load_admins() {
  constexpr std::uint32_t kShipped = 131'072;
  constexpr std::size_t kRules = 50; // any number
  for (const auto kind : kFilled)
    for (const auto family : {Family::ipv4, Family::ipv6})
      if (auto& set = sets[index_of(kind, family)]; !set)
        set = ElementSet{kind == GrantSet::range     ? 0
                         : kind == GrantSet::session ? kSessions
                                                     : kShipped,
                         {},
                         0};
  if (!guarded) guarded.emplace();
  rules = kRules;
}

bool Table::has_all_sets() const {
  for (const auto kind : kFilled)
    for (const auto family : {Family::ipv4, Family::ipv6})
      if (!sets[index_of(kind, family)]) return false;
  return guarded.has_value();
}

void Table::collect(Instant now) {
  const auto due = Instant{std::chrono::floor<Seconds>(now.time_since_epoch())};
  if (due <= collected) return;
  static_assert(kCollectEvery == Seconds{1});
  collected = due;
  for (auto& set : sets) {
    if (!set) continue;
    set->displaced = 0; // they ended before the key was put anew; at most one collection is waited for
    std::erase_if(set->placed, [&](const auto& entry) { return entry.second.ends <= due; });
  }
}

} // namespace knock::simulation
