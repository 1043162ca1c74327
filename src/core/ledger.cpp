// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/ledger.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include <fmt/format.h>

namespace knock {
namespace {

constexpr std::array<std::string_view, 6> kVias{"knock", "kn1", "hand", "session", "fleet", "foreign"};

std::int64_t seconds_of(Instant at) {
  return std::chrono::floor<Seconds>(at.time_since_epoch()).count();
}

/// The kernel counts in milliseconds; rounded up, so that the ledger never outlives the element's promise.
Millis left_until(Instant end, Instant now) {
  return std::max(std::chrono::ceil<Millis>(end - now), Millis{1});
}

bool is_owner(const OpenGrant& grant, const GrantRequest& request) {
  return std::tie(grant.door, grant.source, grant.by, grant.via) ==
         std::tie(request.door, request.source, request.by, request.via);
}

/// The grant that `request` asks for: new, or `old` with more ports and a later end.
OpenGrant wished(const GrantRequest& request, const OpenGrant* old, Instant now) {
  OpenGrant grant;
  if (old != nullptr) {
    grant = *old;
  } else {
    grant.door = request.door;
    grant.source = request.source;
    grant.by = request.by;
    grant.via = request.via;
    grant.opened = now;
    grant.cap = now + request.max;
  }
  std::vector<Port> ports;
  std::set_union(grant.ports.begin(), grant.ports.end(), request.ports.begin(), request.ports.end(),
                 std::back_inserter(ports));
  grant.ports = std::move(ports);
  grant.ends = std::max(grant.ends, std::min(now + request.open_for, grant.cap));
  return grant;
}

bool holds(const OpenGrant& grant, Port port) {
  return std::binary_search(grant.ports.begin(), grant.ports.end(), port);
}

std::optional<Instant> parse_seconds(std::string_view text) {
  std::int64_t seconds = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seconds);
  constexpr std::int64_t kCentury = 3'155'760'000; // keeps the nanoseconds of an Instant far from overflow
  if (error != std::errc{} || stop != end || seconds < 0 || seconds > kCentury) return std::nullopt;
  return Instant{Seconds{seconds}};
}

/// What a comment says, as a grant without ports. Returns nothing for one we did not write.
std::optional<OpenGrant> parse_comment(std::string_view comment) {
  std::array<std::string_view, 5> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto space = comment.find(' ');
    if ((space == std::string_view::npos) != (i + 1 == words.size())) return std::nullopt;
    words[i] = comment.substr(0, space);
    if (words[i].empty()) return std::nullopt;
    if (space != std::string_view::npos) comment.remove_prefix(space + 1);
  }
  const auto via = std::find(kVias.begin(), kVias.end(), words[2]);
  const auto opened = parse_seconds(words[3]);
  const auto cap = parse_seconds(words[4]);
  if (via == kVias.end() || !opened || !cap) return std::nullopt;
  OpenGrant grant;
  grant.door = words[0];
  grant.by = words[1];
  grant.via = static_cast<Via>(via - kVias.begin());
  grant.opened = *opened;
  grant.cap = *cap;
  return grant;
}

/// The grant that keeps `port` open longest among `grants`.
const OpenGrant* latest(std::span<const OpenGrant* const> grants, Port port) {
  const OpenGrant* best = nullptr;
  for (const auto* grant : grants)
    if (holds(*grant, port) && (best == nullptr || grant->ends > best->ends)) best = grant;
  return best;
}

Change put_change(const OpenGrant& owner, Port port, Instant now) {
  return {Change::Kind::put, {owner.source, port}, left_until(owner.ends, now), comment_of(owner)};
}

} // namespace

std::string_view to_string(Via via) {
  return kVias[static_cast<std::size_t>(via)];
}

std::string comment_of(const OpenGrant& grant) {
  return fmt::format("{} {} {} {} {}", grant.door, grant.by, to_string(grant.via), seconds_of(grant.opened),
                     seconds_of(grant.cap));
}

void Ledger::adopt(std::span<const Element> elements, Instant now) {
  grants_.clear();
  by_source_.clear();
  by_end_.clear();
  // Elements of one owner carry one comment, to the byte.
  std::map<std::pair<Address, std::string_view>, std::vector<const Element*>> owners;
  for (const auto& element : elements) owners[{element.key.source, element.comment}].push_back(&element);
  for (const auto& [owner, held] : owners) {
    const auto known = parse_comment(owner.second);
    OpenGrant grant = known.value_or(OpenGrant{});
    if (!known) {
      grant.door = "foreign";
      grant.via = Via::foreign;
      grant.opened = now;
    }
    grant.source = owner.first;
    grant.adopted = true;
    for (const auto* element : held) {
      grant.ports.push_back(element->key.port);
      grant.ends = std::max(grant.ends, now + element->left);
    }
    if (!known) grant.cap = grant.ends;
    std::sort(grant.ports.begin(), grant.ports.end());
    grant.id = ++last_id_;
    put(std::move(grant));
  }
}

std::vector<const OpenGrant*> Ledger::of_source(const Address& source) const {
  std::vector<const OpenGrant*> found;
  for (auto it = by_source_.lower_bound({source, 0}); it != by_source_.end() && it->first == source; ++it)
    found.push_back(&grants_.at(it->second));
  return found;
}

Plan Ledger::plan_open(std::span<const GrantRequest> requests, Instant now) const {
  Plan plan;
  std::map<std::pair<Address, std::uint64_t>, OpenGrant> planned; // each request sees those before it
  std::map<GrantKey, Change> changes; // once a key: the kernel refuses a batch that deletes one twice
  std::uint64_t next_id = last_id_;
  std::size_t added = 0;
  for (const auto& request : requests) {
    auto held = of_source(request.source);
    std::erase_if(held, [&](const OpenGrant* one) { return planned.contains({one->source, one->id}); });
    for (auto it = planned.lower_bound({request.source, 0});
         it != planned.end() && it->first.first == request.source; ++it)
      held.push_back(&it->second);

    const auto old = std::find_if(held.begin(), held.end(), [&](const OpenGrant* one) {
      return is_owner(*one, request) && one->ends > now;
    });
    const bool fresh = old == held.end();
    auto grant = wished(request, fresh ? nullptr : *old, now);
    if (fresh) {
      const bool full = grants_.size() + added >= limits_.grants;
      // A session that was there before the gate is never refused: it may be the admin's own.
      if (request.via != Via::session && (full || held.size() >= limits_.per_source)) {
        plan.events.push_back({LedgerEvent::Verb::refused, grant, full ? "grants" : "per_source"});
        continue;
      }
      grant.id = ++next_id;
      ++added;
    }
    std::erase_if(held, [&](const OpenGrant* one) { return one->id == grant.id; });
    held.push_back(&grant);
    for (Port port : grant.ports) {
      auto change = put_change(*latest(held, port), port, now);
      changes.insert_or_assign(change.key, std::move(change));
    }
    plan.events.push_back({fresh ? LedgerEvent::Verb::open : LedgerEvent::Verb::extend, grant, {}});
    planned.insert_or_assign({grant.source, grant.id}, std::move(grant));
  }
  for (auto& [key, change] : changes) plan.batch.push_back(std::move(change));
  for (auto& [key, grant] : planned) plan.after.push_back(std::move(grant));
  return plan;
}

Plan Ledger::plan_close(const CloseWhich& which, std::string_view reason, Instant now) const {
  Plan plan;
  std::set<std::uint64_t> closed;
  for (const auto& [id, grant] : grants_) {
    if (which.id && *which.id != id) continue;
    if (which.door && *which.door != grant.door) continue;
    if (which.source && *which.source != grant.source) continue;
    closed.insert(id);
    plan.closed.push_back(id);
    plan.events.push_back({LedgerEvent::Verb::close, grant, std::string{reason}});
  }
  std::set<GrantKey> done;
  for (const auto& event : plan.events) {
    auto others = of_source(event.grant.source);
    std::erase_if(others,
                  [&](const OpenGrant* held) { return closed.contains(held->id) || held->ends <= now; });
    for (Port port : event.grant.ports) {
      if (!done.insert({event.grant.source, port}).second) continue;
      const auto* other = latest(others, port);
      plan.batch.push_back(other != nullptr
                               ? put_change(*other, port, now)
                               : Change{Change::Kind::remove, {event.grant.source, port}, {}, {}});
    }
  }
  return plan;
}

Batch Ledger::all(Instant now) const {
  std::map<GrantKey, const OpenGrant*> owners;
  for (const auto& [id, grant] : grants_) {
    if (grant.ends <= now) continue;
    for (Port port : grant.ports) {
      auto& owner = owners[{grant.source, port}];
      if (owner == nullptr || grant.ends > owner->ends) owner = &grant;
    }
  }
  Batch batch;
  for (const auto& [key, owner] : owners) batch.push_back(put_change(*owner, key.port, now));
  return batch;
}

void Ledger::accept(const Plan& plan) {
  for (const auto& grant : plan.after) put(grant);
  for (auto id : plan.closed) erase(id);
}

std::vector<LedgerEvent> Ledger::expire(Instant now) {
  std::vector<LedgerEvent> events;
  while (!by_end_.empty() && by_end_.begin()->first <= now) {
    const auto id = by_end_.begin()->second;
    const auto& grant = grants_.at(id);
    events.push_back({LedgerEvent::Verb::expire, grant, grant.ends >= grant.cap ? "max" : "after"});
    erase(id);
  }
  return events;
}

std::optional<Instant> Ledger::next_end() const {
  if (by_end_.empty()) return std::nullopt;
  return by_end_.begin()->first;
}

void Ledger::put(OpenGrant grant) {
  erase(grant.id);
  last_id_ = std::max(last_id_, grant.id);
  by_source_.insert({grant.source, grant.id});
  by_end_.insert({grant.ends, grant.id});
  grants_[grant.id] = std::move(grant);
}

void Ledger::erase(std::uint64_t id) {
  const auto it = grants_.find(id);
  if (it == grants_.end()) return;
  by_source_.erase({it->second.source, id});
  by_end_.erase({it->second.ends, id});
  grants_.erase(it);
}

} // namespace knock
