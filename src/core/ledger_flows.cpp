// SPDX-License-Identifier: GPL-2.0-or-later
// Grants that end by use: with their last connection, with the last packet, after so many connections.
#include <knock/ledger.hpp>

#include <algorithm>
#include <utility>

namespace knock {
namespace {

bool on_disconnect(const OpenGrant& grant) {
  return grant.terms.close == Close::on_disconnect;
}

/// Whether the element counts all that its client sent.
bool counts(const GrantKey& key) {
  return key.set == GrantSet::open || key.set == GrantSet::net;
}

Traffic& operator+=(Traffic& sum, const Traffic& more) {
  sum.packets += more.packets;
  sum.bytes += more.bytes;
  return sum;
}

} // namespace

/// Live grants by which `source` may reach `port`: of itself, and of the prefixes around it.
Ledger::Pointers Ledger::letting_in(const Address& source, Port port) const {
  auto found = of_source(source);
  const auto around = masked(source, source.family == Family::ipv4 ? 24 : 64);
  if (around != source)
    for (const auto* grant : of_source(around)) found.push_back(grant);
  std::erase_if(found, [&](const OpenGrant* grant) {
    return grant->set == GrantSet::session || !lets_in(*grant, source) || !holds(*grant, port);
  });
  return found;
}

bool Ledger::watches(const Address& source, Port port) const {
  const auto grants = letting_in(source, port);
  return std::any_of(grants.begin(), grants.end(), [](const OpenGrant* grant) {
    return on_disconnect(*grant) || grant->set == GrantSet::uses;
  });
}

bool Ledger::has_flows(const OpenGrant& grant) const {
  auto last = grant.source;
  if (grant.set == GrantSet::net)
    for (auto at = last.octets.begin() + prefix_of(grant) / 8;
         at != last.octets.begin() + static_cast<std::ptrdiff_t>(last.bytes().size()); ++at)
      *at = 0xff;
  for (auto it = flows_.lower_bound({grant.source, {}}); it != flows_.end() && it->first.first <= last; ++it)
    if (holds(grant, it->first.second)) return true;
  return false;
}

std::vector<std::uint64_t> Ledger::flow_begun(const Address& source, Port port, bool known, Instant now) {
  ++flows_[{source, port}];
  if (!known) ++unanswered_[{source, port}];
  std::vector<OpenGrant> facts;
  for (const auto* held : letting_in(source, port))
    if (on_disconnect(*held)) facts.push_back(*held);
  std::vector<std::uint64_t> ids;
  for (auto& grant : facts) {
    grant.used = true;
    if (!known || grant.adopted) grant.arrive = now; // one that is older than the knock is not the awaited one
    ids.push_back(grant.id);
    put(std::move(grant));
  }
  return ids;
}

void Ledger::flow_answered(const Address& source, Port port, Instant now) {
  const auto count = unanswered_.find({source, port});
  if (count == unanswered_.end() || --count->second != 0) return;
  unanswered_.erase(count);
  for (const auto* held : letting_in(source, port))
    if (is_spent(*held)) by_used_up_.insert({now, held->id});
}

std::vector<GrantKey> Ledger::counted_uses(const Address& source, Port port) const {
  const GrantKey key{source, port, GrantSet::uses};
  for (const auto* held : letting_in(source, port))
    if (held->set != GrantSet::uses) return {}; // the kernel asks a `uses` set last
  return elements_.contains(key) ? std::vector{key} : std::vector<GrantKey>{};
}

void Ledger::spend(const GrantKey& key, std::uint64_t connections) {
  auto holders = of_source(key.source);
  std::erase_if(holders, [&](const OpenGrant* one) {
    return one->set != GrantSet::uses || one->uses_left == 0 || !holds(*one, key.port);
  });
  std::sort(holders.begin(), holders.end(),
            [](const OpenGrant* a, const OpenGrant* b) { return a->ends < b->ends; });
  for (const auto* holder : holders) { // the one that ends first pays first
    auto& grant = grants_.at(holder->id);
    const auto paid = static_cast<std::uint32_t>(std::min<std::uint64_t>(grant.uses_left, connections));
    connections -= paid;
    grant.uses_left -= paid;
    grant.used = grant.used || paid != 0;
    if (grant.uses_left == 0) used_up_.push_back(grant.id);
  }
}

std::vector<std::uint64_t> Ledger::used_up(Instant now) {
  const auto over = [&](std::uint64_t id) {
    const auto it = grants_.find(id);
    return it != grants_.end() && is_spent(it->second);
  };
  for (const auto id : std::exchange(used_up_, {}))
    // With several ports the others would let in as many again.
    if (over(id)) by_used_up_.insert({grants_.at(id).ports.size() == 1 ? now + kSentAgain : now, id});
  std::erase_if(by_used_up_, [&](const auto& entry) { return !over(entry.second); });
  std::vector<std::uint64_t> due;
  for (auto it = by_used_up_.begin(); it != by_used_up_.end() && it->first <= now; ++it)
    due.push_back(it->second);
  return due;
}

std::optional<Instant> Ledger::next_used_up() const {
  for (const auto& [at, id] : by_used_up_)
    if (grants_.contains(id)) return at;
  return std::nullopt;
}

Plan Ledger::plan_anew(const std::set<GrantKey>& keys, Instant now) const {
  Plan plan;
  for (const auto& key : keys)
    if (has(key)) plan.batch.push_back(put_change(of_source(key.source), key, now));
  return plan;
}

std::vector<GrantKey> Ledger::sessions() const {
  std::vector<GrantKey> keys;
  for (const auto id : sessions_)
    for (const auto& key : knock::keys_of(grants_.at(id))) keys.push_back(key);
  return keys;
}

std::vector<std::uint64_t> Ledger::flow_ended(const Address& source, Port port) {
  const auto count = flows_.find({source, port});
  if (count == flows_.end() || --count->second != 0) return {};
  flows_.erase(count);
  std::vector<std::uint64_t> ids;
  for (const auto* held : letting_in(source, port)) {
    if (!on_disconnect(*held) || has_flows(*held)) continue;
    flowing_.erase(held->id);
    ids.push_back(held->id);
  }
  return ids;
}

Plan Ledger::plan_flows(std::span<const std::uint64_t> ids, Instant now) const {
  std::vector<OpenGrant> changed;
  for (const auto id : ids) {
    const auto held = grants_.find(id);
    if (held == grants_.end()) continue;
    auto grant = held->second;
    const bool lives = flowing_.contains(id);
    const auto closing = now + std::max(grant.terms.linger, Millis{1}); // by the kernel, like every end
    const auto ends = std::min(grant.cap, lives ? now + kLease : std::max(closing, grant.arrive));
    if (lives && ends <= grant.ends) continue;
    grant.ends = ends;
    changed.push_back(std::move(grant));
  }
  return plan_change(std::move(changed), now);
}

Plan Ledger::plan_leases(Instant now) const {
  std::vector<OpenGrant> changed;
  for (const auto id : flowing_) {
    auto grant = grants_.at(id);
    const auto ends = std::min(grant.cap, now + kLease);
    if (grant.ends - now > kLease / 2 || ends <= grant.ends) continue;
    grant.ends = ends;
    changed.push_back(std::move(grant));
  }
  return plan_change(std::move(changed), now);
}

Plan Ledger::plan_idle(Instant now) const {
  std::vector<OpenGrant> changed;
  for (const auto& [idle, id] : by_idle_) {
    auto grant = grants_.at(id);
    const auto ends = std::min(grant.cap, now + idle);
    const auto seen = traffic(grant);
    // Looked at in thirds: whoever has more than two of them left is looked at again in time.
    if (seen == grant.marked || grant.ends - now > idle * 2 / 3 || ends <= grant.ends) continue;
    grant.ends = ends;
    grant.marked = seen;
    changed.push_back(std::move(grant));
  }
  return plan_change(std::move(changed), now);
}

std::vector<GrantKey> Ledger::keys() const {
  std::vector<GrantKey> keys;
  keys.reserve(elements_.size());
  for (const auto& [key, held] : elements_)
    if (counts(key) || key.set == GrantSet::uses) keys.push_back(key);
  return keys;
}

std::vector<GrantKey> Ledger::idle_keys() const {
  std::vector<GrantKey> keys;
  for (const auto& [idle, id] : by_idle_)
    for (const auto& key : knock::keys_of(grants_.at(id)))
      if (counts(key)) keys.push_back(key);
  return keys;
}

std::vector<GrantKey> Ledger::lease_keys() const {
  std::vector<GrantKey> keys;
  for (const auto id : flowing_)
    for (const auto& key : knock::keys_of(grants_.at(id)))
      if (counts(key)) keys.push_back(key);
  return keys;
}

void Ledger::note(std::span<const Element> elements) {
  for (const auto& [key, left, comment, traffic, target] : elements) {
    const auto held = elements_.find(key);
    if (held == elements_.end()) continue;
    const auto before = std::exchange(held->second.traffic, traffic).packets;
    if (key.set == GrantSet::uses && traffic.packets > before) spend(key, traffic.packets - before);
  }
}

Traffic Ledger::traffic(const OpenGrant& grant) const {
  Traffic sum;
  for (Port port : grant.ports) {
    const GrantKey key{grant.source, port, grant.set};
    if (const auto held = elements_.find(key); held != elements_.end() && counts(key))
      sum += held->second.traffic;
  }
  return sum;
}

Traffic Ledger::counted(const GrantKey& key) const {
  const auto held = elements_.find(key);
  return held == elements_.end() ? Traffic{} : held->second.traffic;
}

void Ledger::forget_flows() {
  flows_.clear();
  unanswered_.clear();
  flowing_.clear();
}

std::vector<GrantKey> Ledger::ending(Instant from, Instant until) const {
  std::vector<GrantKey> keys;
  for (auto it = by_end_.upper_bound({from, ~std::uint64_t{0}}); it != by_end_.end() && it->first <= until;
       ++it)
    for (const auto& key : knock::keys_of(grants_.at(it->second)))
      if (counts(key)) keys.push_back(key);
  return keys;
}

std::optional<Millis> Ledger::shortest_idle() const {
  if (by_idle_.empty()) return std::nullopt;
  return by_idle_.begin()->first;
}

} // namespace knock
