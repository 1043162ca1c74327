// SPDX-License-Identifier: GPL-2.0-or-later
// Grants that end by use: with their last connection, with the last packet, after so many connections.
#include <knock/ledger.hpp>

#include <algorithm>

namespace knock {
namespace {

bool on_disconnect(const OpenGrant& grant) {
  return grant.terms.close == Close::on_disconnect;
}

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
  std::erase_if(found,
                [&](const OpenGrant* grant) { return !lets_in(*grant, source) || !holds(*grant, port); });
  return found;
}

bool Ledger::watches(const Address& source, Port port) const {
  const auto grants = letting_in(source, port);
  return std::any_of(grants.begin(), grants.end(), [](const OpenGrant* grant) {
    return on_disconnect(*grant) || grant->set == GrantSet::once;
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

Plan Ledger::flow_begun(const Address& source, Port port, bool known, Instant now) {
  ++flows_[{source, port}];
  std::vector<OpenGrant> facts;
  std::optional<OpenGrant> once;
  bool free = false; // the kernel asks a `once` set last
  for (const auto* held : letting_in(source, port)) {
    if (held->set != GrantSet::once)
      free = true;
    else if (!once || held->ends < once->ends)
      once = *held;
    if (on_disconnect(*held)) facts.push_back(*held);
  }
  std::vector<OpenGrant> changed;
  for (auto& grant : facts) {
    grant.used = true;
    grant.arrive = now;
    put(grant);
    const auto ends = std::min(grant.cap, now + kLease);
    if (ends <= grant.ends) continue;
    grant.ends = ends;
    changed.push_back(std::move(grant));
  }
  if (once && !free && !known) {
    if (once->uses_left <= 1) return plan_close({.id = once->id}, "uses", now);
    --once->uses_left;
    changed.push_back(std::move(*once)); // the kernel removed the element: it comes back
  }
  return plan_change(std::move(changed), now);
}

Plan Ledger::flow_ended(const Address& source, Port port, Instant now) {
  const auto count = flows_.find({source, port});
  if (count == flows_.end() || --count->second != 0) return {};
  flows_.erase(count);
  std::vector<OpenGrant> changed;
  for (const auto* held : letting_in(source, port)) {
    if (!on_disconnect(*held) || has_flows(*held)) continue;
    flowing_.erase(held->id);
    auto grant = *held;
    const auto closing = now + std::max(grant.terms.linger, Millis{1}); // by the kernel, like every end
    grant.ends = std::min(grant.cap, std::max(closing, grant.arrive));
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
    if (counts(key)) keys.push_back(key);
  return keys;
}

std::vector<GrantKey> Ledger::idle_keys() const {
  std::vector<GrantKey> keys;
  for (const auto& [idle, id] : by_idle_)
    for (const auto& key : keys_of(grants_.at(id)))
      if (counts(key)) keys.push_back(key);
  return keys;
}

void Ledger::note(std::span<const Element> elements) {
  for (const auto& element : elements)
    if (const auto held = elements_.find(element.key); held != elements_.end())
      held->second.traffic = element.traffic;
}

Traffic Ledger::traffic(const OpenGrant& grant) const {
  Traffic sum;
  for (Port port : grant.ports)
    if (const auto held = elements_.find({grant.source, port, grant.set}); held != elements_.end())
      sum += held->second.traffic;
  return sum;
}

Traffic Ledger::counted(const GrantKey& key) const {
  const auto held = elements_.find(key);
  return held == elements_.end() ? Traffic{} : held->second.traffic;
}

void Ledger::forget_flows() {
  flows_.clear();
  flowing_.clear();
}

std::vector<GrantKey> Ledger::ending(Instant from, Instant until) const {
  std::vector<GrantKey> keys;
  for (auto it = by_end_.upper_bound({from, ~std::uint64_t{0}}); it != by_end_.end() && it->first <= until;
       ++it)
    for (const auto& key : keys_of(grants_.at(it->second)))
      if (counts(key)) keys.push_back(key);
  return keys;
}

std::optional<Millis> Ledger::shortest_idle() const {
  if (by_idle_.empty()) return std::nullopt;
  return by_idle_.begin()->first;
}

} // namespace knock
