// SPDX-License-Identifier: GPL-2.0-or-later
// Grants that open, and what a door gives up for them when it is at its limit.
#include <knock/ledger.hpp>

#include <algorithm>

namespace knock {

/// Each request sees those before it.
struct Ledger::Opening {
  const Ledger& ledger;
  Instant now;
  std::vector<std::uint64_t> spare; // not given up yet
  Room room{ledger.shares_, ledger.limits_};
  std::vector<LedgerEvent> events{};
  std::map<std::uint64_t, OpenGrant> planned{};
  std::set<std::uint64_t> closed{};
  std::map<GrantKey, Change> changes{}; // once a key: the kernel refuses a batch that deletes one twice
  std::uint64_t next_id = ledger.last_id_;

  [[nodiscard]] Pointers held(const Address& subnet) const {
    auto found = ledger.of_subnet(subnet);
    std::erase_if(found, [&](const OpenGrant* one) {
      return planned.contains(one->id) || closed.contains(one->id) || one->ends <= now;
    });
    for (const auto& [id, one] : planned)
      if (subnet_of(one.source) == subnet) found.push_back(&one);
    return found;
  }

  /// The elements of a grant that came, changed or went, each for the grant that now keeps it longest.
  void hold(const OpenGrant& grant) {
    const auto holders = held(subnet_of(grant.source));
    for (const auto& key : knock::keys_of(grant))
      changes.insert_or_assign(key, ledger.put_change(holders, key, now));
  }

  /// Returns whether there was one to give up. Who knocked again in this very plan keeps what it has.
  bool give_up(const std::string& door) {
    const auto found = std::find_if(spare.begin(), spare.end(), [&](std::uint64_t id) {
      const auto grant = ledger.grants_.find(id);
      return grant != ledger.grants_.end() && grant->second.door == door && !planned.contains(id) &&
             is_anonymous(grant->second) && ledger.is_unused(grant->second);
    });
    if (found == spare.end()) return false;
    const auto& grant = ledger.grants_.at(*found);
    spare.erase(found);
    closed.insert(grant.id);
    room.give_back(grant);
    events.push_back({LedgerEvent::Verb::close, grant, "share", {}});
    hold(grant);
    return true;
  }

  /// Which limit refuses it; empty: none.
  std::string_view refusal(const GrantRequest& request, const Pointers& holders) {
    if (!is_limited(request.via)) return {};
    const auto own = std::count_if(holders.begin(), holders.end(),
                                   [](const OpenGrant* one) { return is_limited(one->via); });
    if (own >= static_cast<std::ptrdiff_t>(ledger.limits_.per_source)) return "per_source";
    const auto lacking = room.lacking(request);
    return lacking.empty() || give_up(request.door) ? "" : lacking;
  }

  void open(const GrantRequest& request) {
    const auto holders = held(subnet_of(masked(request.source, request.prefix)));
    const auto old = std::find_if(holders.begin(), holders.end(),
                                  [&](const OpenGrant* one) { return is_owner(*one, request); });
    const bool fresh = old == holders.end();
    auto grant = wished(request, fresh ? nullptr : *old, now);
    if (fresh) {
      if (const auto reason = refusal(request, holders); !reason.empty()) {
        events.push_back({LedgerEvent::Verb::refused, std::move(grant), std::string{reason}});
        return;
      }
      grant.id = ++next_id;
      room.take(grant);
    }
    if (grant.terms.close == Close::on_idle) grant.marked = ledger.traffic(grant); // of other owners, too
    events.push_back({fresh ? LedgerEvent::Verb::open : LedgerEvent::Verb::extend, grant, {}});
    hold(planned.insert_or_assign(grant.id, grant).first->second);
  }
};

Plan Ledger::plan_open(std::span<const GrantRequest> requests, Instant now,
                       std::span<const std::uint64_t> spare) const {
  Opening opening{*this, now, {spare.begin(), spare.end()}};
  for (const auto& request : requests) opening.open(request);
  Plan plan;
  plan.events = std::move(opening.events);
  plan.closed.assign(opening.closed.begin(), opening.closed.end());
  for (auto& [key, change] : opening.changes) plan.batch.push_back(std::move(change));
  for (auto& [id, grant] : opening.planned) plan.after.push_back(std::move(grant));
  return plan;
}

std::vector<std::uint64_t> Ledger::spare(std::span<const GrantRequest> requests, std::size_t at_least) {
  const Room room(shares_, limits_);
  std::map<std::string_view, std::size_t> lacking; // by door: how many may have to go
  for (const auto& request : requests)
    if (!room.lacking(request, requests.size()).empty()) ++lacking[request.door];
  std::vector<std::uint64_t> ids;
  for (const auto& [door, asked] : lacking) {
    const auto oldest = shares_.oldest(door, std::max(asked, at_least),
                                       [&](std::uint64_t id) { return is_unused(grants_.at(id)); });
    ids.insert(ids.end(), oldest.begin(), oldest.end());
  }
  return ids;
}

} // namespace knock
