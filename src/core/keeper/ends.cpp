// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/ends.hpp"

#include <algorithm>
#include <utility>

namespace knock::keeper {
namespace {

constexpr Millis kLookAhead{100}; // the counter goes with the element: it is read so long before
constexpr Millis kSessionsEvery{
    5'000}; // the end of a connection that is older than the guard is noticed so late
constexpr Millis kTryAgain{1'000};

bool is_due(const std::optional<Instant>& at, Instant now) {
  return !at || *at <= now;
}

} // namespace

void Ends::hear(Ledger& ledger, const Heard& heard) {
  std::vector<FlowNews> news;
  const auto wanted = [&](const Address& source, Port port) { return ledger.watches(source, port); };
  for (const auto& event : heard.flows) flows_.hear(event, wanted, news);
  look_at_flows_ = look_at_flows_ || heard.flows_overran;
  take_in(ledger, news, heard.now);
}

/// The kernel counted a connection, if it let it in by an element of `uses`; its counter is read first.
void Ends::take_in(Ledger& ledger, const std::vector<FlowNews>& news, Instant now) {
  for (const auto& [event, known] : news) {
    const auto& flow = event.flow;
    switch (event.kind) {
    case FlowEvent::Kind::begun:
      if (!known)
        for (const auto& key : ledger.counted_uses(flow.source, flow.port)) uses_begun_.push_back(key);
      for (const auto id : ledger.flow_begun(flow.source, flow.port, known, now)) touched_.insert(id);
      break;
    case FlowEvent::Kind::answered: answered_.push_back(flow); break;
    case FlowEvent::Kind::ended:
      for (const auto id : ledger.flow_ended(flow.source, flow.port)) touched_.insert(id);
      break;
    }
  }
}

void Ends::ask(Ledger& ledger, bool listening, Instant now, Ask& ask) {
  const auto until = now + kLookAhead;
  const auto ending = ledger.ending(timers_.looked_until, until);
  timers_.looked_until = until;
  ask.add(ending);
  if (!ledger.shortest_idle()) timers_.idle.reset();
  due_.idle = ledger.shortest_idle() && (is_due(timers_.idle, now) || !ending.empty());
  if (due_.idle) ask.add(ledger.idle_keys());
  if (!ledger.leases()) timers_.lease.reset();
  due_.lease = ledger.leases() && is_due(timers_.lease, now);
  if (is_due(timers_.session, now)) ask.connections = ask.connections || ledger.has_sessions();
  asked_.assign(touched_.begin(), touched_.end());
  for (const auto id : asked_) ask.add(ledger.keys_of(CloseWhich{.id = id}));
  if (due_.lease) ask.add(ledger.lease_keys());
  for (const auto id : ledger.used_up(now)) ask.add(ledger.keys_of(CloseWhich{.id = id}));
  outlived_.merge(ledger.outlived());
  ask.add({outlived_.begin(), outlived_.end()});
  ask_uses(ask);
  ask.flows = look_at_flows_ && listening;
  if (ask.flows) ask.add(ledger.keys()); // uses that nothing was heard of
  ask.lives = flows_.silent(now);
}

void Ends::ask_uses(Ask& ask) const {
  ask.add(uses_begun_);
}

/// An element that is gone, or put anew unread, counts no more: each connection is one use then.
void Ends::count_uses(Ledger& ledger, const Seen& seen, Instant now) {
  for (const auto& key : uses_begun_)
    if (std::none_of(seen.elements.begin(), seen.elements.end(),
                     [&](const Element& element) { return element.key == key; }))
      ledger.spend(key, 1);
  uses_begun_.clear();
  for (const auto& flow : std::exchange(answered_, {})) ledger.flow_answered(flow.source, flow.port, now);
}

void Ends::plan(Ledger& ledger, const Seen& seen, Instant now, Draft& draft) {
  std::vector<FlowNews> news;
  for (const auto& flow : seen.gone) flows_.ended(flow, news);
  if (seen.flows && *seen.flows) {
    look_at_flows_ = false;
    flows_.look(
        **seen.flows, [&](const Address& source, Port port) { return ledger.watches(source, port); }, now,
        news);
  }
  take_in(ledger, news, now);
  if (!seen.elements_error) count_uses(ledger, seen, now); // else it is asked for again
  if (timers_.again && *timers_.again > now) return;
  for (const auto id : ledger.used_up(now)) draft.add(ledger, ledger.plan_close({.id = id}, "uses", now));
  if (seen.connections && *seen.connections && is_due(timers_.session, now))
    for (const auto& key : ledger.sessions())
      if (!std::binary_search((*seen.connections)->begin(), (*seen.connections)->end(), key))
        draft.add(ledger, ledger.plan_close({.key = key}, "disconnect", now));
  draft.add(ledger, ledger.plan_flows(asked_, now));
  if (due_.idle) draft.add(ledger, ledger.plan_idle(now));
  if (due_.lease) draft.add(ledger, ledger.plan_leases(now));
  if (!outlived_.empty()) draft.add(ledger, ledger.plan_anew(outlived_, now));
}

void Ends::settle(const Ledger& ledger, bool taken, Instant now) {
  if (timers_.again && *timers_.again > now) return;
  timers_.again.reset();
  if (!taken) {
    timers_.again = now + kTryAgain;
    return;
  }
  for (const auto id : asked_) touched_.erase(id);
  outlived_.clear();
  if (due_.idle && ledger.shortest_idle()) timers_.idle = now + *ledger.shortest_idle() / 3;
  if (due_.lease) timers_.lease = now + kLease / 4;
  if (!ledger.has_sessions())
    timers_.session.reset();
  else if (is_due(timers_.session, now))
    timers_.session = now + kSessionsEvery;
  due_ = {};
}

void Ends::forget_flows(Ledger& ledger) {
  ledger.forget_flows();
  flows_ = {};
  look_at_flows_ = false;
}

std::optional<Instant> Ends::next(const Ledger& ledger) const {
  auto next = sooner(ledger.next_used_up(), ledger.next_end());
  next = sooner(next, sooner(timers_.idle, timers_.lease));
  next = sooner(next, sooner(timers_.session, flows_.next()));
  if (!touched_.empty() || !uses_begun_.empty()) next = Instant{}; // at once
  if (const auto ahead = ledger.next_end_after(timers_.looked_until))
    next = sooner(next, *ahead - kLookAhead);
  if (timers_.again && next) next = std::max(*next, *timers_.again);
  return next;
}

} // namespace knock::keeper
