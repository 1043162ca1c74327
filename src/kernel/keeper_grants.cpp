// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine asks for, and what becomes of it.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "kernel/audit.hpp"
#include "kernel/keeper.hpp"
#include "kernel/log.hpp"
#include "kernel/process.hpp"

namespace knock::kernel {
namespace {

constexpr Millis kProbeEvery{5'000}; // how long a hanging engine goes unnoticed, at most twice

} // namespace

GrantRequest Keeper::request_for(const Door& door, const Address& source) {
  GrantRequest request;
  request.door = door.name;
  request.source = source;
  request.ports = door.opens;
  request.open_for = door.open_for;
  request.max = door.max;
  return request;
}

void Keeper::judge(std::span<const Grant> grants, Instant now) {
  if (off_since_) return;
  std::vector<GrantRequest> requests;
  std::vector<std::pair<const Door*, Address>> runs;
  for (const auto& grant : grants) {
    const auto* door = door_of(grant);
    if (door == nullptr) continue;
    if (!door->opens.empty()) requests.push_back(request_for(*door, grant.source));
    if (!door->run.empty()) runs.emplace_back(door, grant.source);
  }
  (void)ledger_.expire(now); // what ended a moment ago must not count as open
  if (!requests.empty())
    if (auto done = carry_out(ledger_.plan_open(requests, now), now); !done)
      log_line(LogLevel::error, to_string(done.error()));
  for (const auto& [door, source] : runs) (void)run(*door, source, Via::knock, now);
}

/// The door a record names, if its source may have what the door gives.
const Door* Keeper::door_of(const Grant& grant) {
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

bool Keeper::run(const Door& door, const Address& source, Via via, Instant now) {
  const auto last = last_run_.find(door.name);
  if (last != last_run_.end() && now < last->second + door.cooldown) {
    ++refused_["cooldown"];
    return false;
  }
  RunRequest request;
  request.time = config_.runner.time;
  request.door = door.name;
  request.source = to_string(source);
  request.via = to_string(via);
  request.argv = door.run;
  last_run_[door.name] = now; // a command that fails at once must not fail at every knock
  const auto started = runner_->start(request);
  note_runner(started);
  if (!started) {
    ++refused_["runner"];
    return true;
  }
  ++runs_;
  log_line(LogLevel::info, fmt::format("run door={} source={} by={} via={}", request.door, request.source,
                                       request.by, request.via));
  return true;
}

void Keeper::note_runner(const Result<void>& reached) {
  if (!reached && (!runner_error_ || runner_error_->what != reached.error().what))
    log_line(LogLevel::error, to_string(reached.error()));
  runner_error_ = reached ? std::nullopt : std::optional(reached.error());
}

Result<void> Keeper::carry_out(const Plan& plan, Instant now) {
  auto committed = gate_.commit(config_, plan.batch);
  if (!committed && committed.error().code == ENOENT) {
    if (auto healed = heal(now); !healed) return healed;
    committed = gate_.commit(config_, plan.batch);
  }
  if (!committed) {
    for (const auto& event : plan.events)
      if (event.verb != LedgerEvent::Verb::refused) ++refused_["kernel"];
    return committed;
  }
  settle(plan, now);
  return {};
}

/// Somebody removed the table: it comes back, and what was open with its remaining time.
Result<void> Keeper::heal(Instant now) {
  const auto open = ledger_.all(now);
  if (auto loaded = gate_.load(config_, wanted(now), open, open); !loaded) return loaded;
  ++healed_;
  log_line(LogLevel::warn, fmt::format("healed: table inet {} was gone, {} elements are back",
                                       config_.nft.table, open.size()));
  return {};
}

void Keeper::settle(const Plan& plan, Instant now) {
  ledger_.accept(plan);
  for (const auto& event : plan.events) {
    if (event.verb == LedgerEvent::Verb::refused)
      ++refused_[event.reason];
    else
      log_line(LogLevel::info, audit_line(event, now));
  }
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
  const bool well = !engine_ || engine_->probe(now);
  if (well && watchdog_) notify_service("WATCHDOG=1");
  next_probe_ = now + watchdog_.value_or(kProbeEvery);
}

std::optional<Instant> Keeper::work(Instant now) {
  for (const auto& event : ledger_.expire(now)) log_line(LogLevel::info, audit_line(event, now));
  watch_over(now);
  auto next = ledger_.next_end();
  const auto sooner = [&](std::optional<Instant> other) {
    if (other) next = std::min(next.value_or(*other), *other);
  };
  if (engine_) sooner(engine_->work(now));
  sooner(next_probe_);
  return next;
}

} // namespace knock::kernel
