// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/state.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include <knock/status.hpp>

namespace knock::keeper {
namespace {

void take(State& state, const Bind& step) {
  state.standing.group = step.first_group;
}
void take(State& state, const Instruct&) {
  state.standing.engine = true;
}
void take(State& state, const Dismiss&) {
  state.standing.engine = false;
  state.kn1.rekey = state.kn1.rekey || std::exchange(state.kn1.told, false);
  state.standing.group.reset();
}
void take(State& state, const Listen& step) {
  if (state.standing.listen.flows && !step.flows) state.ends.forget_flows(state.ledger);
  if (step.table && !state.standing.listen.table && state.settings.started) state.table.doubt();
  state.standing.listen = step;
}
void take(State& state, const Remember& step) {
  state.kept.disk.settle(step, state.kept.memory);
  if (step.file == Remember::File::ceilings) {
    state.kn1.ceilings = state.kn1.stamps.ceilings();
    state.kn1.stamps.note_written();
    if (!std::exchange(state.kn1.unkept, std::nullopt)) return; // another file may wait still
  }
  state.kept.error.reset();
}
void take(State& state, const Rekey&) {
  state.kn1.told = takes_kn1(*state.settings.config);
  state.kn1.rekey = false;
}
void take(State& state, const Mark& step) {
  state.kn1.unwritten.clear();
  state.kn1.good_since = step.good_since;
  state.kn1.has_run = true;
  state.kn1.error.reset();
  state.kn1.not_before.reset();
}
void take(State&, const Load&) {}
void take(State& state, const Unload&) {
  state.table.forget();
}
void take(State& state, const Commit& step) {
  ++state.tally.commits;
  if (state.table.removed() == 0) return;
  std::set<GrantKey> put; // behind all that was heard of so far
  for (const auto& change : step.batch)
    if (!change.comment.empty()) put.insert(change.key);
  auto removed = state.table.take_removed();
  std::erase_if(removed, [&](const GrantKey& key) { return put.contains(key); });
  state.table.keep_removed(removed);
}

} // namespace

WallNow wall_now(const State& state) {
  return {state.now, Moment{Seconds{state.wall}}};
}

void report(State& state, const LedgerEvent& event, Said& said) {
  using Verb = LedgerEvent::Verb;
  if (event.verb == Verb::refused) {
    ++state.tally.refused[event.reason];
    return;
  }
  const auto& config = *state.settings.config;
  state.tally.audit.say(event, state.now, said.lines);
  if (event.verb == Verb::open || event.verb == Verb::extend)
    (void)note_opening(state.kept.memory.unconfirmed, config, event.grant, state.now);
  const bool over = event.verb == Verb::close || event.verb == Verb::expire;
  if (!over || !event.grant.terms.says_close) return;
  const auto* door = enabled_door(config, event.grant.door);
  if (door != nullptr && !door->run_close.empty())
    said.runs.push_back({0, run_close_of(config, *door, event.grant)});
}

bool learn_off(State& state, const std::string& text, Said& said) {
  const auto at_ms = state.kept.disk.learn_off(text);
  if (!at_ms) return false;
  state.kept.memory.off_since = *at_ms / 1000;
  state.kept.off_alone = {*at_ms, state.now};
  state.table.forget();
  state.table.lose(false); // what was open comes back with `on`
  said.lines.push_back({LogLevel::warn, "off: root did so without us; nothing is guarded until knockctl on"});
  if (!state.work.jobs.empty())
    refuse_jobs(state, {"knockgate is off: every port is open", 0, "sudo knockctl on"}, said);
  return true;
}

std::optional<Error> unremembered(const State& state) {
  return state.kept.disk.remember(state.kept.memory).empty() ? std::nullopt : state.kept.error;
}

JobId id_of(const Job& job) {
  return std::visit([](const auto& one) { return one.job; }, job);
}

void refuse_signed(State& state, const Opening& opening, std::string_view reason, Said& said) {
  if (!opening.signed_packet) return;
  auto& kn1 = state.kn1;
  const auto& request = opening.request;
  const auto& from = request.bound ? request.bound->from : request.source;
  kn1.requests.refuse({request.by, request.door, reason, from}, {state.now, kn1.clock}, said.lines);
  if (!opening.signed_packet->counted) return;
  kn1.stamps.return_opening(opening.signed_packet->kid);
  kn1.counted.erase({opening.signed_packet->kid, request.door});
}

void refuse_signed(State& state, const Closing& closing, std::string_view reason, Said& said) {
  if (!closing.signed_packet) return;
  const auto& [id, door, source, by, key, ids, port] = closing.which;
  state.kn1.requests.refuse({*by, *door, reason, *source}, {state.now, state.kn1.clock}, said.lines);
}

void refuse_jobs(State& state, const Error& error, Said& said, const std::set<JobId>* ids) {
  bool told = ids != nullptr ? !ids->contains(0) : !state.work.jobs.empty();
  std::erase_if(state.work.jobs, [&](const Job& job) {
    if (ids != nullptr && !ids->contains(id_of(job))) return false;
    const auto ticket = std::visit([](const auto& one) { return one.ticket; }, job);
    ++state.tally.refused["kernel"];
    std::visit([&](const auto& one) { refuse_signed(state, one, "kernel", said); }, job);
    told = told && ticket != 0;
    if (ticket != 0) state.desk.answer(ticket, refusal(error), said);
    return true;
  });
  if (!told) said.lines.push_back({LogLevel::error, to_string(error)});
}

bool is_needed(const State& state) {
  return any_door(*state.settings.config) && !state.kept.memory.off_since;
}

bool is_stuck(const State& state) {
  return state.table.is_lost() && is_needed(state);
}

namespace {

bool is_intact(const State& state, const TableSeen& seen) {
  const auto& config = *state.settings.config;
  const bool gate = config.nft.mode == Mode::gate;
  if (!any_door(config)) return gate ? !seen.there : seen.guarded.empty();
  if (state.kept.memory.off_since) return seen.guarded.empty();
  const bool fits = !gate || seen.set_size == 2 * config.limits.grants; // else a boot file of another size
  return fits && is_as_wanted(seen, sets_of(config, state.kept.memory, state.now));
}

} // namespace

Plan look_at_table(State& state, const Seen& seen) {
  if (!*seen.table || !*seen.grants) return {}; // the doubt stays
  const bool needed = is_needed(state);
  state.table.look(is_intact(state, **seen.table), needed);
  if (needed) state.tally.audit.faults((*seen.table)->faults);
  if ((needed && state.table.is_lost()) || !(*seen.table)->there) return {};
  // Without a door it goes whole, or is another daemon's, with what that one opened.
  const auto& config = *state.settings.config;
  if (!any_door(config) && config.nft.mode == Mode::gate) return {};
  state.ledger.note(**seen.grants);
  auto [right, missing] = look_for_strays(state.ledger, **seen.grants, std::max(state.now, seen.at));
  if (!right.empty())
    state.tally.audit.strays(state.table.fight(state.now).by, right.batch.size(), right.after.size());
  if (needed) state.table.keep_removed(missing);
  return std::move(right);
}

Batch close_removed(State& state) {
  auto left_over = std::exchange(state.work.left_over, {});
  const auto close = [&](const CloseWhich& which, std::string_view reason) {
    const auto plan = plan_close(state.ledger, which, reason, state.now);
    (void)state.ledger.accept(plan);
    for (const auto& event : plan.events) report(state, event, state.work.unsaid);
    for (const auto& change : plan.batch)
      if (change.comment.empty()) left_over.push_back(change);
    return plan.closed.size();
  };
  for (const auto& key : state.table.take_removed()) close({.key = key}, "foreign");
  if (state.finishing)
    for (const auto& [reason, ids] : gone_grants(*state.settings.config, state.ledger, wall_now(state)))
      state.finishing->applied.closed += close({.ids = ids}, reason);
  return left_over;
}

Batch unowned(const State& state, const Batch& left_over, bool in_maps) {
  Batch found;
  std::copy_if(left_over.begin(), left_over.end(), std::back_inserter(found), [&](const Change& change) {
    return (change.key.set == GrantSet::forward) == in_maps && !state.ledger.elements().contains(change.key);
  });
  return found;
}

void settle_anew(State& state, Batch open, Said& said) {
  if (!open.empty()) state.table.doubt(); // nothing was heard meanwhile; another's without an end has one now
  Plan plan;
  plan.batch = std::move(open);
  (void)state.ledger.accept(plan);
  const auto unsaid = std::exchange(state.work.unsaid, {});
  said.lines.insert(said.lines.end(), unsaid.lines.begin(), unsaid.lines.end());
  said.runs.insert(said.runs.end(), unsaid.runs.begin(), unsaid.runs.end());
}

void take_steps(State& state, const Steps& steps, const Outcome& outcome) {
  for (std::size_t i = 0; i < outcome.done && i < steps.size(); ++i)
    std::visit([&](const auto& step) { take(state, step); }, steps[i]);
  if (outcome.unheard) state.table.doubt();
  if (outcome.deaf_flows) {
    state.standing.deaf_flows = outcome.deaf_flows;
    state.standing.listen.flows = false;
  }
  if (outcome.deaf_table) state.standing.listen.table = false;
}

} // namespace knock::keeper
