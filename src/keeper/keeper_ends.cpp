// SPDX-License-Identifier: GPL-2.0-or-later
// What ends grants: their time, their last connection, no packet for a while.
#include <algorithm>
#include <utility>

#include "keeper/keeper.hpp"
#include "netlink/sock_diag.hpp"
#include "system/log.hpp"

namespace knock::keeper {
namespace {

constexpr Millis kLookAhead{100}; // the counter goes with the element: it is read so long before

constexpr Millis kSessionsEvery{
    5'000}; // the end of a connection that is older than the guard is noticed so late

bool counts(const Change& change) {
  return change.key.set == GrantSet::open || change.key.set == GrantSet::net;
}

} // namespace

/// What the kernel counted at these elements.
void Keeper::look(const std::vector<GrantKey>& keys) {
  if (keys.empty()) return;
  if (const auto found = gate_.find(config_, keys)) ledger_.note(*found);
}

/// An element put anew counts on from where the old one stood, and an audit line tells what is true now.
void Keeper::refresh(Plan& plan) {
  std::vector<GrantKey> keys;
  for (const auto& change : plan.batch)
    if (counts(change) && ledger_.has(change.key)) keys.push_back(change.key);
  if (keys.empty()) return;
  look(keys);
  for (auto& change : plan.batch)
    if (change.kind == Change::Kind::put && counts(change)) change.traffic = ledger_.counted(change.key);
  for (auto& event : plan.events) event.traffic = ledger_.traffic(event.grant);
}

/// What is put anew for another owner must not give back what was spent.
Plan Keeper::plan_close(const CloseWhich& which, std::string_view reason, Instant now) {
  auto plan = ledger_.plan_close(which, reason, now);
  std::vector<GrantKey> shared;
  for (const auto& change : plan.batch)
    if (change.kind == Change::Kind::put && change.key.set == GrantSet::uses) shared.push_back(change.key);
  if (shared.empty()) return plan;
  look(shared);
  return ledger_.plan_close(which, reason, now);
}

/// A grant that shared its element and ended by its time must not leave its uses to the others.
void Keeper::take_back_uses(Instant now) {
  const auto keys = ledger_.outlived();
  if (keys.empty()) return;
  look({keys.begin(), keys.end()});
  push(ledger_.plan_anew(keys, now), now);
}

/// The kernel counted the connection, if it let it in by this element; one that is gone counts no more.
void Keeper::count_use(const Address& source, Port port) {
  for (const auto& key : ledger_.counted_uses(source, port)) {
    const auto found = gate_.find(config_, {&key, 1});
    if (found && !found->empty())
      ledger_.note(*found);
    else
      ledger_.spend(key, 1);
  }
}

void Keeper::end_sessions(Instant now) {
  if (next_session_ && *next_session_ > now) return;
  const auto sessions = ledger_.sessions();
  if (sessions.empty()) return next_session_.reset();
  next_session_ = now + kSessionsEvery;
  const auto alive = netlink::open_connections();
  if (!alive) return system::log_line(LogLevel::warn, to_string(alive.error()));
  for (const auto& key : sessions)
    if (!std::binary_search(alive->begin(), alive->end(), key))
      push(plan_close({.key = key}, "disconnect", now), now);
}

/// Listens to connections exactly while an open grant, or one that is about to open, has to know of them.
void Keeper::watch_flows(std::span<const GrantRequest> requests, Instant now) {
  const bool asked = std::any_of(requests.begin(), requests.end(), [](const GrantRequest& request) {
    return request.uses != 0 || request.terms.close == Close::on_disconnect;
  });
  if (!asked && !ledger_.needs_flows()) {
    if (flows_) ledger_.forget_flows();
    flows_.reset();
    return;
  }
  if (flows_) return flows_->drain(now);
  auto opened = FlowWatch::open(
      loop_, [this](const Address& source, Port port) { return ledger_.watches(source, port); },
      [this](const FlowWatch::News& news, Instant at) { hear(news, at); });
  if (opened) {
    flows_ = std::move(*opened);
    flows_error_.reset();
  } else {
    if (!flows_error_)
      system::log_line(LogLevel::warn, to_string(opened.error()) + "; grants end by their time alone");
    flows_error_ = opened.error();
  }
}

void Keeper::hear(const FlowWatch::News& news, Instant now) {
  for (const auto& event : ledger_.expire(now)) report(event, now);
  const auto& flow = news.event.flow;
  switch (news.event.kind) {
  case FlowEvent::Kind::begun:
    if (!news.known) count_use(flow.source, flow.port);
    return push(ledger_.plan_flows(ledger_.flow_begun(flow.source, flow.port, news.known, now), now), now);
  case FlowEvent::Kind::answered: return ledger_.flow_answered(flow.source, flow.port, now);
  case FlowEvent::Kind::ended: return push(ledger_.plan_flows(ledger_.flow_ended(flow.source, flow.port), now), now);
  }
}

/// Reads the counters of what ends in a moment; what moved at an on-idle door stays open.
void Keeper::look_ahead(Instant now) {
  const auto until = now + kLookAhead;
  const auto keys = ledger_.ending(std::exchange(looked_until_, until), until);
  look(keys);
  if (!keys.empty()) push(ledger_.plan_idle(now), now);
}

void Keeper::push(Plan plan, Instant now) {
  if (plan.empty()) return;
  if (auto done = carry_out(std::move(plan), now); !done)
    system::log_line(LogLevel::error, to_string(done.error()));
}

std::optional<Instant> Keeper::end_what_is_over(Instant now) {
  std::optional<Instant> next;
  const auto sooner = [&](std::optional<Instant> other) {
    if (other) next = std::min(next.value_or(*other), *other);
  };
  look_ahead(now);
  const auto idle = ledger_.shortest_idle();
  if (!idle) {
    next_idle_.reset();
  } else if (!next_idle_ || *next_idle_ <= now) {
    look(ledger_.idle_keys());
    push(ledger_.plan_idle(now), now);
    next_idle_ = now + *idle / 3;
  }
  if (!ledger_.leases()) {
    next_lease_.reset();
  } else if (!next_lease_ || *next_lease_ <= now) {
    push(ledger_.plan_leases(now), now);
    next_lease_ = now + kLease / 4;
  }
  for (const auto id : ledger_.used_up(now)) push(plan_close({.id = id}, "uses", now), now);
  end_sessions(now);
  for (const auto& event : ledger_.expire(now)) report(event, now);
  take_back_uses(now);
  watch_flows({}, now);
  if (flows_) sooner(flows_->work(now));
  sooner(next_idle_);
  sooner(next_lease_);
  sooner(next_session_);
  sooner(ledger_.next_used_up());
  sooner(ledger_.next_end());
  if (const auto ahead = ledger_.next_end_after(looked_until_)) sooner(*ahead - kLookAhead);
  return next;
}

} // namespace knock::keeper
