// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine asks for, and what becomes of it.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "keeper/keeper.hpp"
#include "system/log.hpp"
#include "system/process.hpp"

namespace knock::keeper {
namespace {

constexpr Millis kProbeEvery{5'000};  // how long a hanging engine goes unnoticed, at most twice
constexpr std::size_t kLongLook = 64; // grants of a door

} // namespace

void Keeper::judge(std::span<const Completed> grants, Instant now) {
  if (off_since_) return;
  std::vector<GrantRequest> requests;
  std::vector<std::pair<const Door*, Address>> runs;
  for (const auto& grant : grants) {
    const auto* door = door_of(grant);
    if (door == nullptr) continue;
    if (!pace_.take(door->id, door->grants, now)) {
      ++refused_["pace"];
      continue;
    }
    auto request = request_for(*door, grant.source);
    request.terms.says_close = !door->run_close.empty() && commands_.ready(*door, now);
    if (!request.ports.empty()) {
      requests.push_back(std::move(request));
    } else if (door->run.empty()) {
      ++refused_["family"];
      system::log_line(LogLevel::info,
                       fmt::format("refused door={} source={} reason=family: it leads nowhere over {}",
                                   door->name, to_string(grant.source),
                                   grant.source.family == Family::ipv4 ? "IPv4" : "IPv6"));
    }
    if (!door->run.empty()) runs.emplace_back(door, grant.source);
  }
  if (auto done = open(requests, now); !done) system::log_line(LogLevel::error, to_string(done.error()));
  for (const auto& [door, source] : runs) commands_.open(*door, source, Via::knock, now);
}

Result<void> Keeper::open(std::span<const GrantRequest> requests, Instant now) {
  if (requests.empty()) return {};
  heed(now); // a plan knows nothing of what is heard after it
  for (const auto& event : ledger_.expire(now)) report(event, now); // must not count as open
  return carry_out(plan_open(requests, now), now);
}

/// Looks first at the counters of what may be given up, and at more of them when some are used after all.
/// What is used is passed over for good, so each knock is bounded work.
Plan Keeper::plan_open(std::span<const GrantRequest> requests, Instant now) {
  watch_flows(requests, now);
  look(ledger_.uses_keys_of(requests)); // what is left of another owner's
  const auto looked = [&](std::size_t at_least) {
    const auto spare = ledger_.spare(requests, at_least);
    std::vector<GrantKey> keys;
    for (const auto id : spare)
      for (const auto& key : keys_of(ledger_.grants().at(id)))
        if (key.set != GrantSet::forward) keys.push_back(key);
    look(keys);
    return spare;
  };
  auto spare = looked(0);
  if (ledger_.spare(requests) != spare) spare = looked(kLongLook);
  return ledger_.plan_open(requests, now, spare);
}

/// The door a record names, if its source may have what the door gives.
const Door* Keeper::door_of(const Completed& grant) {
  const auto door = doors_.find(static_cast<std::uint64_t>(grant.door));
  if (!grantable(grant.source)) {
    ++refused_["source"];
    engine_->suspect(); // an honest engine leaves such packets alone
  } else if (door == doors_.end()) {
    ++refused_["unknown_door"]; // removed a moment ago
  } else if (own_.contains(grant.source)) {
    ++refused_["own_address"]; // forged, and an engine cannot know
  } else {
    return door->second;
  }
  return nullptr;
}

Result<void> Keeper::carry_out(Plan plan, Instant now) {
  if (plan.empty()) {
    settle(plan, now);
    return {};
  }
  refresh(plan);
  auto committed = commit(plan.batch, now);
  if (!committed && committed.error().code == ENOENT) {
    heed(now); // who did it is told already, and is healed once
    committed = commit(plan.batch, now);
  }
  if (!committed && committed.error().code == ENOENT) {
    if (auto healed = heal(now, disturber_); !healed) return healed;
    committed = commit(plan.batch, now);
  }
  if (!committed) {
    for (const auto& event : plan.events)
      if (event.verb != LedgerEvent::Verb::refused && event.reason != "share") ++refused_["kernel"];
    return committed;
  }
  settle(plan, now);
  return {};
}

void Keeper::settle(const Plan& plan, Instant now) {
  ledger_.accept(plan);
  for (const auto& event : plan.events) report(event, now);
}

/// Says it, and starts what the door wants started at the end.
void Keeper::report(const LedgerEvent& event, Instant now) {
  if (event.verb == LedgerEvent::Verb::refused) {
    ++refused_[event.reason];
    return;
  }
  audit_.say(event, now);
  if (event.verb == LedgerEvent::Verb::open || event.verb == LedgerEvent::Verb::extend)
    prove(event.grant, now);
  const bool over = event.verb == LedgerEvent::Verb::close || event.verb == LedgerEvent::Verb::expire;
  if (!over || !event.grant.terms.says_close) return;
  if (const auto* left = door(event.grant.door)) commands_.close(*left, event.grant);
}

const Door* Keeper::door(std::string_view name) const {
  const auto found = std::find_if(config_.doors.begin(), config_.doors.end(),
                                  [&](const Door& one) { return one.enabled && one.name == name; });
  return found == config_.doors.end() ? nullptr : &*found;
}

/// The service manager hears of us only while the engine answers, too.
void Keeper::watch_over(Instant now) {
  if (!engine_ && !watchdog_) {
    next_probe_.reset();
    return;
  }
  if (next_probe_ && *next_probe_ > now) return;
  const bool well = !engine_ || engine_->probe();
  if (well && watchdog_) system::notify_service("WATCHDOG=1");
  next_probe_ = now + watchdog_.value_or(kProbeEvery);
}

std::optional<Instant> Keeper::work(Instant now) {
  heed(now);
  watch_over(now);
  auto next = end_what_is_over(now);
  const auto sooner = [&](std::optional<Instant> other) {
    if (other) next = std::min(next.value_or(*other), *other);
  };
  if (heal_at_ && *heal_at_ <= now) (void)heal(now, disturber_);
  sooner(heal_at_);
  sooner(audit_.work(now));
  sooner(end_trials(now));
  if (engine_) sooner(engine_->work(now));
  sooner(next_probe_);
  return next;
}

} // namespace knock::keeper
