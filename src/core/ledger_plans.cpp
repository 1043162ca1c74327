// SPDX-License-Identifier: GPL-2.0-or-later
// What shall become of grants, and of the elements that they hold together.
#include <knock/ledger.hpp>

#include <algorithm>

#include <knock/limits.hpp>

namespace knock {
namespace {

/// The kernel counts in milliseconds; rounded up, so that the ledger never outlives the element's promise.
Millis left_until(Instant end, Instant now) {
  return std::max(std::chrono::ceil<Millis>(end - now), Millis{1});
}

/// An element for those of `holders` that hold `key`; the end of it when none does. One of `uses` lets in as many
/// as all of them have left. A forward without a holder is put without a comment, and the kernel ends it.
Change put_change(const Elements& elements, const Grants& holders, const GrantKey& key, Instant now) {
  const bool leads = key.set == GrantSet::forward;
  const auto* holder = latest(holders, key);
  if (holder == nullptr && !leads) return {Change::Kind::remove, key};
  const auto* element = held(elements, key);
  Change change{Change::Kind::put, key, leads ? kForwardOutlives : Millis{0}};
  if (element != nullptr) change.target = change.held = element->target;
  if (holder == nullptr) return change;
  auto owner = *holder;
  if (key.set == GrantSet::uses) {
    for (const auto* one : holders)
      if (holds(*one, key)) change.uses += one->uses_left;
    owner.uses_left = change.uses;
  } else {
    change.traffic = counted(elements, key);
  }
  change.timeout += owner.ends == kNever ? kOpenFor.most : left_until(owner.ends, now);
  change.comment = comment_of(owner);
  if (leads) change.target = *target_of(owner, key.port);
  if (element == nullptr) change.held = change.target;
  return change;
}

/// A plan in the making: what it opens, changes and closes is seen by what comes behind.
struct Making {
  const Ledger& ledger;
  Instant now;
  Plan plan{};
  std::map<std::uint64_t, OpenGrant> planned{};
  std::set<std::uint64_t> closed{};
  std::map<GrantKey, std::size_t> places{}; // in the batch: the kernel refuses one that deletes a key twice
  std::vector<std::uint64_t> spare{};       // that doors at their limit may give up
  Room room{ledger.shares()};
  std::uint64_t last_id = ledger.book().last_id();

  [[nodiscard]] Grants holders(const Address& subnet) const {
    Grants found, changed;
    for (const auto* one : ledger.book().of_subnet(subnet))
      if (const auto as_planned = planned.find(one->id); as_planned != planned.end())
        changed.push_back(&as_planned->second);
      else if (!closed.contains(one->id) && one->ends > now)
        found.push_back(one);
    for (auto opened = planned.upper_bound(ledger.book().last_id()); opened != planned.end(); ++opened)
      if (subnet_of(opened->second.source) == subnet) changed.push_back(&opened->second);
    found.insert(found.end(), changed.begin(), changed.end());
    return found;
  }

  /// Elements of grants of `source` that came, changed or went, each for the grant that now keeps it longest.
  void put(const Address& source, const std::vector<GrantKey>& keys) {
    const auto held = holders(subnet_of(source));
    for (const auto& key : keys) {
      const auto [place, is_new] = places.try_emplace(key, plan.batch.size());
      if (is_new) plan.batch.emplace_back();
      plan.batch[place->second] = put_change(ledger.elements(), held, key, now);
      for (const auto* one : held) // another's without an end gets one with it
        if (one->ends == kNever && holds(*one, key)) {
          auto& ending = planned.insert_or_assign(one->id, *one).first->second;
          ending.ends = ending.cap = now + kOpenFor.most;
        }
    }
  }
  void put(const OpenGrant& grant) { put(grant.source, keys_of(grant)); }

  /// Returns whether there was one to give up. Who knocked again in this very plan keeps what it has.
  bool give_up(const std::string& door) {
    const auto found = std::find_if(spare.begin(), spare.end(), [&](std::uint64_t id) {
      const auto* grant = ledger.book().find(id);
      return grant != nullptr && grant->door == door && !planned.contains(id) && is_anonymous(*grant) &&
             is_unused(ledger.elements(), *grant);
    });
    if (found == spare.end()) return false;
    const auto& grant = *ledger.book().find(*found);
    spare.erase(found);
    closed.insert(grant.id);
    room.give_back(grant);
    plan.events.push_back({LedgerEvent::Verb::close, grant, "share", {}});
    put(grant);
    return true;
  }

  /// Which limit refuses it; empty: none.
  std::string_view refusal(const GrantRequest& request, const Grants& held) {
    if (!is_limited(request.via)) return {};
    const auto own =
        std::count_if(held.begin(), held.end(), [](const OpenGrant* one) { return is_limited(one->via); });
    if (own >= static_cast<std::ptrdiff_t>(ledger.shares().limits().per_source)) return "per_source";
    const auto lacking = room.lacking(request);
    return lacking.empty() || give_up(request.door) ? "" : lacking;
  }

  void open(const GrantRequest& request) {
    const auto held = holders(subnet_of(masked(request.source, request.prefix)));
    const auto old =
        std::find_if(held.begin(), held.end(), [&](const OpenGrant* one) { return is_owner(*one, request); });
    const bool fresh = old == held.end();
    auto grant = wished(request, fresh ? nullptr : *old, now);
    if (fresh) {
      if (const auto reason = refusal(request, held); !reason.empty()) {
        plan.events.push_back({LedgerEvent::Verb::refused, std::move(grant), std::string{reason}});
        return;
      }
      grant.id = ++last_id;
      room.take(grant);
    }
    if (grant.terms.close == Close::on_idle)
      grant.marked = traffic(ledger.elements(), grant); // of other owners, too
    plan.events.push_back({fresh ? LedgerEvent::Verb::open : LedgerEvent::Verb::extend, grant, {}});
    put(planned.insert_or_assign(grant.id, std::move(grant)).first->second);
  }

  Plan made() {
    plan.closed.assign(closed.begin(), closed.end());
    for (auto& [id, grant] : planned) plan.after.push_back(std::move(grant));
    return std::move(plan);
  }
};

/// Puts the elements of changed grants.
Plan plan_change(const Ledger& ledger, const std::vector<OpenGrant>& changed, Instant now) {
  Making making{ledger, now};
  for (const auto& grant : changed) making.planned.emplace(grant.id, grant);
  for (const auto& grant : changed) making.put(grant);
  return making.made();
}

} // namespace

Plan plan_open(const Ledger& ledger, std::span<const GrantRequest> requests, Instant now,
               std::span<const std::uint64_t> spare) {
  Making making{ledger, now};
  making.spare.assign(spare.begin(), spare.end());
  for (const auto& request : requests) making.open(request);
  return making.made();
}

Plan plan_close(const Ledger& ledger, const CloseWhich& which, std::string_view reason, Instant now) {
  Making making{ledger, now};
  const auto grants = matching(ledger.book(), which);
  for (const auto* grant : grants) {
    making.closed.insert(grant->id);
    making.plan.events.push_back(
        {LedgerEvent::Verb::close, *grant, std::string{reason}, traffic(ledger.elements(), *grant)});
  }
  for (const auto* grant : grants) making.put(*grant);
  return making.made();
}

Plan plan_flows(const Ledger& ledger, std::span<const std::uint64_t> ids, Instant now) {
  std::vector<OpenGrant> changed;
  for (const auto* held : ledger.book().find_all(ids)) {
    const bool lives = held->connected;
    // It may be planned late: while the table is away. By the kernel, like every end.
    const auto since = held->parted == Instant{} ? now : held->parted;
    const auto closing = std::max(since + held->terms.linger, now + Millis{1});
    const auto ends = std::min(held->cap, lives ? now + kLease : std::max(closing, held->arrive));
    if (lives && ends <= held->ends) continue;
    changed.push_back(*held);
    changed.back().ends = ends;
  }
  return plan_change(ledger, changed, now);
}

Plan plan_leases(const Ledger& ledger, Instant now) {
  std::vector<std::uint64_t> due;
  for (const auto* held : ledger.book().find_all(ledger.book().connected()))
    if (held->ends - now <= kLease / 2) due.push_back(held->id);
  return plan_flows(ledger, due, now);
}

Plan plan_idle(const Ledger& ledger, Instant now) {
  std::vector<OpenGrant> changed;
  for (const auto* held : ledger.book().idling()) {
    const auto idle = held->terms.idle;
    const auto ends = std::min(held->cap, now + idle);
    const auto seen = traffic(ledger.elements(), *held);
    // The keeper reads the counters each third of `idle`: a grant with two thirds left is read again in time.
    if (seen == held->marked || held->ends - now > idle * 2 / 3 || ends <= held->ends) continue;
    changed.push_back(*held);
    changed.back().ends = ends;
    changed.back().marked = seen;
  }
  return plan_change(ledger, changed, now);
}

Plan plan_anew(const Ledger& ledger, const std::set<GrantKey>& keys, Instant now) {
  Making making{ledger, now};
  for (const auto& key : keys)
    if (ledger.elements().contains(key)) making.put(key.source, {key});
  return making.made();
}

std::map<GrantKey, Grants> open_elements(const Ledger& ledger, Instant now) {
  std::map<GrantKey, Grants> holders;
  for (const auto& [id, grant] : ledger.grants()) {
    if (grant.ends <= now || is_spent(grant)) continue;
    for (const auto& key : keys_of(grant)) holders[key].push_back(&grant);
  }
  return holders;
}

Batch all_open(const Ledger& ledger, Instant now) {
  const auto holders = open_elements(ledger, now);
  Batch batch;
  batch.reserve(holders.size());
  for (const auto& [key, grants] : holders) batch.push_back(put_change(ledger.elements(), grants, key, now));
  // Another may have put a range within one of ours: the kernel takes a wide one over a narrow one, not the reverse.
  std::stable_sort(batch.begin(), batch.end(), [](const Change& a, const Change& b) {
    const auto width = [](const GrantKey& key) {
      return key.set == GrantSet::range ? key.last - key.port.number : 0;
    };
    return width(a.key) < width(b.key);
  });
  return batch;
}

Strays look_for_strays(const Ledger& ledger, std::span<const Element> there, Instant now) {
  constexpr Millis kSlack{1'500}; // between the look and the commit that set the time
  auto holders = open_elements(ledger, now);
  auto last_id = ledger.book().last_id();
  Strays found;
  auto& [batch, events, after, closed, unread] = found.right;
  for (const auto& element : there) {
    const auto& key = element.key;
    if (auto node = holders.extract(key); !node.empty()) {
      const auto* holder = latest(node.mapped(), key);
      auto right = put_change(ledger.elements(), node.mapped(), key, now);
      const auto ends = end_of(element, now);
      const bool leads_there = right.target == element.target;
      if (holder->via == Via::foreign) {
        if (std::chrono::abs(holder->ends - ends) > kSlack)
          after.push_back(foreign_grant(element, holder->id, now));
      } else if (!leads_there || std::chrono::abs(now + right.timeout - ends) > kSlack) {
        right.held = element.target;
        batch.push_back(std::move(right));
      }
    } else if (!ledger.elements().contains(key)) {
      if (owner_of(element))
        batch.push_back({.kind = Change::Kind::remove, .key = key, .held = element.target});
      else if (key.set != GrantSet::forward) // one that leads nowhere ends by itself
        after.push_back(foreign_grant(element, ++last_id, now));
    }
  }
  for (const auto& [key, grants] : holders) found.missing.push_back(key);
  return found;
}

std::vector<GrantKey> keys_of(const Ledger& ledger, const Grants& grants) {
  std::vector<GrantKey> keys;
  for (const auto* grant : grants)
    for (const auto& key : keys_of(*grant))
      if (key.set != GrantSet::forward && ledger.elements().contains(key)) keys.push_back(key);
  return keys;
}

std::vector<GrantKey> keys_of(const Ledger& ledger, const GrantRequest& request) {
  auto grants = ledger.book().of_source(masked(request.source, request.prefix));
  if (const auto whole = ledger.book().of_source(request.source); whole != grants)
    grants.insert(grants.end(), whole.begin(), whole.end());
  return keys_of(ledger, grants);
}

std::vector<GrantKey> keys_of(const Ledger& ledger) {
  std::vector<GrantKey> keys;
  for (const auto& [key, held] : ledger.elements())
    if (counts(key) || key.set == GrantSet::uses) keys.push_back(key);
  return keys;
}

std::vector<GrantKey> counted_keys(const Grants& grants) {
  std::vector<GrantKey> keys;
  for (const auto* grant : grants)
    for (const auto& key : keys_of(*grant))
      if (counts(key)) keys.push_back(key);
  return keys;
}

std::vector<GrantKey> counted_uses(const Ledger& ledger, const Address& source, Port port) {
  const GrantKey key{source, port, GrantSet::uses};
  for (const auto* held : letting_in(ledger.book(), source, port))
    if (held->set != GrantSet::uses) return {}; // the kernel asks a `uses` set last
  return ledger.elements().contains(key) ? std::vector{key} : std::vector<GrantKey>{};
}

} // namespace knock
