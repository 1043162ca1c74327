// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/ends.hpp"

#include <algorithm>
#include <utility>

namespace knock::keeper {
namespace {

constexpr Millis kLookAhead{100}; // the counter goes with the element: it is read so long before
constexpr Millis kSessionsEvery{
    5'000}; // the end of a connection that is older than the guard is noticed so late
constexpr Millis kEndAgain{1'000};

bool is_due(const std::optional<Instant>& at, Instant now) {
  return !at || *at <= now;
}

/// The connections that a grant has to know of.
auto wanted_by(const Ledger& ledger) {
  return [&](const Address& source, Port port) { return watches(ledger.book(), source, port); };
}

} // namespace

void Ends::hear(Ledger& ledger, const Heard& heard) {
  std::vector<FlowNews> news;
  for (const auto& event : heard.flows) flows_.hear(event, wanted_by(ledger), news);
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
        for (const auto& key : counted_uses(ledger, flow.source, flow.port)) uses_begun_.push_back(key);
      for (const auto id : ledger.flow_begun(flow.source, flow.port, known, now)) touched_.insert(id);
      break;
    case FlowEvent::Kind::answered: answered_.push_back(flow); break;
    case FlowEvent::Kind::ended:
      for (const auto id : ledger.flow_ended(flow.source, flow.port, now)) touched_.insert(id);
      break;
    }
  }
}

void Ends::ask(Ledger& ledger, bool listening, Instant now, Ask& ask) {
  const auto until = now + kLookAhead;
  const auto& book = ledger.book();
  const auto ending = counted_keys(book.ending(timers_.looked_until, until));
  timers_.looked_until = until;
  ask.add(ending);
  if (!book.shortest_idle()) timers_.idle.reset();
  due_.idle = book.shortest_idle() && (is_due(timers_.idle, now) || !ending.empty());
  if (due_.idle) ask.add(counted_keys(book.idling()));
  if (book.connected().empty()) timers_.lease.reset();
  due_.lease = !book.connected().empty() && is_due(timers_.lease, now);
  if (is_due(timers_.session, now)) ask.connections = ask.connections || !book.sessions().empty();
  asked_.assign(touched_.begin(), touched_.end());
  ask.add(keys_of(ledger, book.find_all(asked_)));
  if (due_.lease) ask.add(counted_keys(book.find_all(book.connected())));
  ask.add(keys_of(ledger, ledger.used_up(now)));
  outlived_.merge(ledger.outlived());
  ask.add({outlived_.begin(), outlived_.end()});
  ask_uses(ask);
  ask.flows = look_at_flows_ && listening;
  if (ask.flows) ask.add(keys_of(ledger)); // uses that nothing was heard of
  ask.lives = flows_.silent(now);
}

/// An element that is gone, or put anew unread, counts no more: each connection is one use then.
void Ends::count_uses(Ledger& ledger, const Seen& seen, Instant now) {
  for (const auto& key : uses_begun_)
    if (std::none_of(seen.elements.begin(), seen.elements.end(),
                     [&](const Element& element) { return element.key == key; }))
      ledger.spend(key, 1);
  uses_begun_.clear();
  for (const auto& flow : std::exchange(answered_, {}))
    if (!flows_.awaits(flow.source, flow.port)) ledger.flows_answered(flow.source, flow.port, now);
}

void Ends::look(Ledger& ledger, const Seen& seen, Instant now) {
  std::vector<FlowNews> news;
  for (const auto& flow : seen.gone) flows_.ended(flow, news);
  if (seen.flows && *seen.flows) {
    look_at_flows_ = false;
    flows_.look(**seen.flows, wanted_by(ledger), now, news);
  }
  take_in(ledger, news, now);
  if (!seen.elements_error) count_uses(ledger, seen, now); // else it is asked for again
}

void Ends::plan(Ledger& ledger, const Seen& seen, Instant now, Draft& draft) {
  if (timers_.again && *timers_.again > now) return;
  for (const auto* held : ledger.used_up(now))
    draft.add(ledger, plan_close(ledger, {.id = held->id}, "uses", now));
  if (seen.connections && *seen.connections && is_due(timers_.session, now))
    for (const auto& key : keys_of(ledger, ledger.book().find_all(ledger.book().sessions())))
      if (!std::binary_search((*seen.connections)->begin(), (*seen.connections)->end(), key))
        draft.add(ledger, plan_close(ledger, {.key = key}, "disconnect", now));
  draft.add(ledger, plan_flows(ledger, asked_, now));
  if (due_.idle) draft.add(ledger, plan_idle(ledger, now));
  if (due_.lease) draft.add(ledger, plan_leases(ledger, now));
  if (!outlived_.empty()) draft.add(ledger, plan_anew(ledger, outlived_, now));
}

void Ends::settle(const Ledger& ledger, bool taken, Instant now) {
  if (timers_.again && *timers_.again > now) return;
  timers_.again = taken ? std::nullopt : std::optional(now + kEndAgain);
  if (!taken) return;
  for (const auto id : asked_) touched_.erase(id);
  outlived_.clear();
  if (const auto idle = ledger.book().shortest_idle(); due_.idle && idle) timers_.idle = now + *idle / 3;
  if (due_.lease) timers_.lease = now + kLease / 4;
  if (ledger.book().sessions().empty())
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
  auto next = sooner(ledger.book().next_close(), ledger.book().next_end());
  next = sooner(next, sooner(timers_.idle, timers_.lease));
  next = sooner(next, sooner(timers_.session, flows_.next()));
  if (!touched_.empty() || !uses_begun_.empty()) next = Instant{}; // at once
  if (const auto ahead = ledger.book().next_end(timers_.looked_until))
    next = sooner(next, *ahead - kLookAhead);
  if (timers_.again && next) next = std::max(*next, *timers_.again);
  return next;
}

} // namespace knock::keeper
