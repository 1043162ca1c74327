// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/ledger.hpp>

#include <algorithm>

namespace knock {
namespace {

/// The kernel counts in milliseconds; rounded up, so that the ledger never outlives the element's promise.
Millis left_until(Instant end, Instant now) {
  return std::max(std::chrono::ceil<Millis>(end - now), Millis{1});
}

Address last_of(Address subnet) {
  if (subnet.family == Family::ipv6) std::fill(subnet.octets.begin() + 8, subnet.octets.end(), 0xff);
  return subnet;
}

bool holds_key(const OpenGrant& grant, const GrantKey& key) {
  if (grant.source != key.source || grant.source_port != key.source_port) return false;
  if (key.set == GrantSet::forward) return target_of(grant, key.port) != nullptr;
  return key.set == grant.set && holds(grant, key.port);
}

std::uint32_t left_of(std::uint32_t uses, std::uint64_t counted) {
  return counted < uses ? uses - static_cast<std::uint32_t>(counted) : 0;
}

/// Whose element it is. The comment's sixth word is the element's own; `uses` alone always has it.
std::string_view owner_of(std::string_view comment, GrantSet set) {
  const bool more = set == GrantSet::forward && std::count(comment.begin(), comment.end(), ' ') == 5;
  return more || set == GrantSet::uses ? comment.substr(0, comment.rfind(' ')) : comment;
}

bool matches(const CloseWhich& which, const OpenGrant& grant) {
  return (!which.id || *which.id == grant.id) && (!which.door || *which.door == grant.door) &&
         (!which.source || lets_in(grant, *which.source)) && (!which.key || holds_key(grant, *which.key)) &&
         (which.source_port == 0 || which.source_port == grant.source_port) &&
         (which.ids.empty() || which.ids.contains(grant.id));
}

} // namespace

void Ledger::adopt(std::span<const Element> elements, const TermsOf& terms_of, Instant now) {
  *this = Ledger(limits_);
  // Elements of one owner carry one comment, to the byte; a connection, and what we did not write, stands alone.
  std::map<std::tuple<Address, GrantSet, std::string_view, std::uint16_t, Port>, OpenGrant> owners;
  std::map<std::pair<Address, std::string_view>, std::vector<Lead>> leads;
  for (const auto& [key, left, comment, traffic, target] : elements) {
    elements_[key] = {traffic, target};
    if (key.set == GrantSet::forward) {
      leads[{key.source, owner_of(comment, key.set)}].push_back({key.port, target});
      continue;
    }
    const auto owner = owner_of(comment, key.set);
    const bool alone = key.set == GrantSet::session || !parse_comment(owner);
    auto& grant = owners[{key.source, key.set, owner, key.source_port, alone ? key.port : kNoPort}];
    if (const auto known = key.set == GrantSet::uses ? parse_comment(comment) : std::nullopt)
      grant.uses_left = std::max(grant.uses_left, left_of(known->uses_left, traffic.packets));
    grant.used = grant.used || (key.set == GrantSet::uses && traffic.packets != 0);
    if (key.port != kNoPort || grant.ports.empty()) grant.ports.push_back(key.port);
    grant.ends = std::max(grant.ends, now + left);
  }
  for (auto& [owner, held] : owners) {
    const auto& [source, set, comment, source_port, port] = owner;
    auto known = parse_comment(comment);
    const bool ours =
        known && known->uses_left == 0 && (set == GrantSet::session) == (known->via == Via::session);
    OpenGrant grant = ours ? std::move(*known) : OpenGrant{};
    grant.source = source;
    grant.set = set;
    grant.source_port = source_port;
    grant.uses_left = held.uses_left;
    grant.used = held.used;
    grant.ports = std::move(held.ports);
    std::sort(grant.ports.begin(), grant.ports.end());
    grant.ends = held.ends;
    grant.arrive = held.ends;
    grant.adopted = true;
    if (ours) {
      grant.terms = terms_of(grant.door);
      if (const auto led = leads.find({source, comment}); led != leads.end()) grant.leads = led->second;
      std::erase_if(grant.leads, [&](const Lead& lead) { return !holds(grant, lead.outer); });
    } else {
      grant.door = "foreign";
      grant.via = Via::foreign;
      grant.opened = now;
      grant.cap = grant.ends;
    }
    grant.id = ++last_id_;
    if (ours && is_spent(grant)) used_up_.push_back(grant.id);
    put(std::move(grant));
  }
}

Ledger::Pointers Ledger::of_subnet(const Address& subnet) const {
  Pointers found;
  for (auto it = by_source_.lower_bound({subnet, 0}); it != by_source_.end() && it->first <= last_of(subnet);
       ++it)
    found.push_back(&grants_.at(it->second));
  return found;
}

Ledger::Pointers Ledger::of_source(const Address& source) const {
  Pointers found;
  for (auto it = by_source_.lower_bound({source, 0}); it != by_source_.end() && it->first == source; ++it)
    found.push_back(&grants_.at(it->second));
  return found;
}

const OpenGrant* Ledger::latest(const Pointers& grants, const GrantKey& key) {
  const OpenGrant* best = nullptr;
  for (const auto* grant : grants)
    if (holds_key(*grant, key) && !is_spent(*grant) && (best == nullptr || grant->ends > best->ends))
      best = grant;
  return best;
}

/// One of `uses` lets in as many as all of them have left.
Change Ledger::put_change(const Pointers& holders, const GrantKey& key, Instant now) const {
  const auto* latest_holder = latest(holders, key);
  if (latest_holder == nullptr) return end_change(key);
  const auto& owner = *latest_holder;
  Change change{Change::Kind::put, key, left_until(owner.ends, now), comment_of(owner)};
  if (key.set == GrantSet::uses) {
    for (const auto* one : holders)
      if (holds_key(*one, key)) change.uses += one->uses_left;
    auto told = owner;
    told.uses_left = change.uses;
    change.comment = comment_of(told);
    return change;
  }
  const auto held = elements_.find(key);
  if (held != elements_.end()) change.traffic = held->second.traffic;
  if (key.set != GrantSet::forward) return change;
  change.timeout += kForwardOutlives;
  change.target = *target_of(owner, key.port);
  change.held = held != elements_.end() ? held->second.target : change.target;
  return change;
}

/// What becomes of an element that no grant holds. A forward without a comment ends by itself.
Change Ledger::end_change(const GrantKey& key) const {
  if (key.set != GrantSet::forward) return {Change::Kind::remove, key};
  Change change{Change::Kind::put, key, kForwardOutlives};
  const auto held = elements_.find(key);
  if (held != elements_.end()) change.target = change.held = held->second.target;
  return change;
}

Ledger::Pointers Ledger::matching(const CloseWhich& which) const {
  Pointers found;
  const auto take = [&](const OpenGrant& grant) {
    if (matches(which, grant)) found.push_back(&grant);
  };
  if (which.id) {
    if (const auto it = grants_.find(*which.id); it != grants_.end()) take(it->second);
  } else if (which.key) {
    for (const auto* grant : of_source(which.key->source)) take(*grant);
  } else if (!which.ids.empty()) {
    for (const auto id : which.ids)
      if (const auto it = grants_.find(id); it != grants_.end()) take(it->second);
  } else {
    for (const auto& [id, grant] : grants_) take(grant);
  }
  return found;
}

std::vector<GrantKey> Ledger::keys_of(const CloseWhich& which) const {
  std::vector<GrantKey> keys;
  for (const auto* grant : matching(which))
    for (const auto& key : knock::keys_of(*grant))
      if (key.set != GrantSet::forward && has(key)) keys.push_back(key);
  return keys;
}

/// Of all grants of its source: one that it shares an element with, and one that it extends.
std::vector<GrantKey> Ledger::keys_of(const GrantRequest& request) const {
  std::vector<GrantKey> keys;
  const auto whole = of_source(request.source);
  auto held = of_source(masked(request.source, request.prefix));
  if (held != whole) held.insert(held.end(), whole.begin(), whole.end());
  for (const auto* grant : held)
    for (const auto& key : knock::keys_of(*grant))
      if (key.set != GrantSet::forward && has(key)) keys.push_back(key);
  return keys;
}

Plan Ledger::plan_close(const CloseWhich& which, std::string_view reason, Instant now) const {
  Plan plan;
  std::set<std::uint64_t> closed;
  for (const auto* grant : matching(which)) {
    closed.insert(grant->id);
    plan.closed.push_back(grant->id);
    plan.events.push_back({LedgerEvent::Verb::close, *grant, std::string{reason}, traffic(*grant)});
  }
  std::set<GrantKey> done;
  for (const auto& event : plan.events) {
    auto others = of_source(event.grant.source);
    std::erase_if(others,
                  [&](const OpenGrant* held) { return closed.contains(held->id) || held->ends <= now; });
    for (const auto& key : knock::keys_of(event.grant)) {
      if (!done.insert(key).second) continue;
      plan.batch.push_back(put_change(others, key, now));
    }
  }
  return plan;
}

/// Puts the elements of changed grants, each for the one that keeps it longest.
Plan Ledger::plan_change(std::vector<OpenGrant> changed, Instant now) const {
  Plan plan;
  std::map<GrantKey, Change> changes;
  for (const auto& grant : changed) {
    auto held = of_source(grant.source);
    std::erase_if(held, [&](const OpenGrant* one) {
      return one->ends <= now || std::any_of(changed.begin(), changed.end(),
                                             [&](const OpenGrant& other) { return other.id == one->id; });
    });
    for (const auto& other : changed)
      if (other.source == grant.source) held.push_back(&other);
    for (const auto& key : knock::keys_of(grant)) changes.insert_or_assign(key, put_change(held, key, now));
  }
  for (auto& [key, change] : changes) plan.batch.push_back(std::move(change));
  plan.after = std::move(changed);
  return plan;
}

Batch Ledger::all(Instant now) const {
  std::map<GrantKey, Pointers> holders;
  for (const auto& [id, grant] : grants_) {
    if (grant.ends <= now || is_spent(grant)) continue;
    for (const auto& key : knock::keys_of(grant)) holders[key].push_back(&grant);
  }
  Batch batch;
  batch.reserve(holders.size());
  for (const auto& [key, grants] : holders) batch.push_back(put_change(grants, key, now));
  return batch;
}

Undo Ledger::accept(const Plan& plan) {
  Undo undo;
  const auto note = [&](std::uint64_t id) {
    const auto it = grants_.find(id);
    undo.grants.emplace_back(id, it == grants_.end() ? std::nullopt : std::optional(it->second));
  };
  for (const auto& change : plan.batch) {
    const auto held = elements_.find(change.key);
    undo.elements.emplace_back(change.key,
                               held == elements_.end() ? std::nullopt : std::optional(held->second));
    if (change.kind == Change::Kind::put && !change.comment.empty())
      elements_[change.key] = {change.traffic, change.target};
    else
      elements_.erase(change.key);
  }
  for (const auto& grant : plan.after) {
    note(grant.id);
    put(grant);
  }
  for (auto id : plan.closed) {
    note(id);
    erase(id);
  }
  return undo;
}

void Ledger::revert(const Undo& undo) {
  for (auto it = undo.elements.rbegin(); it != undo.elements.rend(); ++it)
    if (it->second)
      elements_[it->first] = *it->second;
    else
      elements_.erase(it->first);
  for (auto it = undo.grants.rbegin(); it != undo.grants.rend(); ++it)
    if (it->second)
      put(*it->second);
    else
      erase(it->first);
}

std::vector<LedgerEvent> Ledger::expire(Instant now) {
  std::vector<LedgerEvent> events;
  while (!by_end_.empty() && by_end_.begin()->first <= now) {
    const auto id = by_end_.begin()->second;
    const auto grant = grants_.at(id);
    const bool idle = grant.terms.close == Close::on_idle;
    const auto* reason = grant.ends >= grant.cap                                   ? "max"
                         : idle                                                    ? "idle"
                         : grant.used && grant.terms.close == Close::on_disconnect ? "disconnect"
                                                                                   : "after";
    events.push_back({LedgerEvent::Verb::expire, grant, reason, traffic(grant)});
    erase(id);
    const auto others = of_source(grant.source);
    for (const auto& key : knock::keys_of(grant))
      if (latest(others, key) == nullptr)
        elements_.erase(key);
      else if (key.set == GrantSet::uses && grant.uses_left != 0)
        outlived_.insert(key);
  }
  return events;
}

std::optional<Instant> Ledger::next_end() const {
  if (by_end_.empty()) return std::nullopt;
  return by_end_.begin()->first;
}

std::optional<Instant> Ledger::next_end_after(Instant from) const {
  const auto it = by_end_.upper_bound({from, ~std::uint64_t{0}});
  if (it == by_end_.end()) return std::nullopt;
  return it->first;
}

/// Nothing came through it, as far as was looked.
bool Ledger::is_unused(const OpenGrant& grant) const {
  const auto keys = knock::keys_of(grant);
  return !grant.used && std::all_of(keys.begin(), keys.end(), [&](const GrantKey& key) {
    const auto held = elements_.find(key);
    return held == elements_.end() || held->second.traffic == Traffic{};
  });
}

void Ledger::put(OpenGrant grant) {
  erase(grant.id);
  last_id_ = std::max(last_id_, grant.id);
  by_source_.insert({grant.source, grant.id});
  by_end_.insert({grant.ends, grant.id});
  const bool disconnects = grant.terms.close == Close::on_disconnect;
  if (grant.terms.close == Close::on_idle) by_idle_.insert({grant.terms.idle, grant.id});
  if (disconnects || grant.set == GrantSet::uses) ++flow_watchers_;
  if (grant.set == GrantSet::session) sessions_.insert(grant.id);
  if (disconnects && has_flows(grant)) flowing_.insert(grant.id);
  shares_.add(grant, is_unused(grant));
  grants_[grant.id] = std::move(grant);
}

void Ledger::erase(std::uint64_t id) {
  const auto it = grants_.find(id);
  if (it == grants_.end()) return;
  const auto& grant = it->second;
  by_source_.erase({grant.source, id});
  by_end_.erase({grant.ends, id});
  by_idle_.erase({grant.terms.idle, id});
  flowing_.erase(id);
  sessions_.erase(id);
  shares_.remove(grant);
  if (grant.terms.close == Close::on_disconnect || grant.set == GrantSet::uses) --flow_watchers_;
  grants_.erase(it);
}

} // namespace knock
