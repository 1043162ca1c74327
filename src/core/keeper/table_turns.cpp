// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "core/keeper/turns.hpp"

namespace knock::keeper {
namespace {

Error others_error(const std::string& table) {
  return {
      fmt::format("table inet {} is another daemon's: another process holds the NFLOG groups that its rules "
                  "report to",
                  table),
      EPERM, "give one of the two another [nft] table, or stop the other"};
}

} // namespace

/// Counters first: elements that still stand are put anew, and count on from what is known. Of very many they are
/// not read: nothing is guarded meanwhile.
void HealTurn::ask(State& state, Ask& ask) {
  if (state.ledger.grants().size() < kLargeBatch) ask.elements = keys_of(state.ledger);
  state.ends.ask_uses(ask);
}

/// One transaction, unless nft would take seconds over its text, or did not take it: then elements follow in a
/// batch of their own. The guard comes back whatever they are.
Steps HealTurn::decide(State& state, const Seen& seen, Said&) {
  state.ledger.note(seen.elements);
  state.ends.count_uses(state.ledger, seen, state.now);
  const auto& settings = state.settings;
  left_over_ = close_removed(state);
  const auto rest = unowned(state, left_over_, false), led = unowned(state, left_over_, true);
  open_ = all_open(state.ledger, state.now);
  elements_ = open_.size();
  open_.insert(open_.end(), rest.begin(), rest.end());
  with_elements_ = !state.table.is_apart() && open_.size() < kLargeBatch;
  Steps steps{Load{settings.config, sets_of(*settings.config, state.kept.memory, state.now),
                   with_elements_ ? open_ : Batch{}}};
  if (!with_elements_ && !open_.empty()) steps.push_back(Commit{open_});
  if (!led.empty()) steps.push_back(Commit{led, true});
  return steps;
}

void HealTurn::settle(State& state, const Steps&, const Outcome& outcome, Said& said) {
  const auto& error = outcome.error;
  if (error)
    state.work.left_over = std::move(left_over_);
  else
    settle_anew(state, std::move(open_), said);
  auto lines = state.table.settle_heal(error, elements_, with_elements_, *state.settings.config, state.now);
  said.lines.insert(said.lines.end(), lines.begin(), lines.end());
  if (error && !state.table.heals(state.now) && !state.work.jobs.empty()) refuse_jobs(state, *error, said);
  if (error && !state.table.heals(state.now)) answer_unfinished(state, *error, said);
  // The admin's hand alone brings it back: a start waits no longer.
  if (error && state.finishing && !state.table.next(state.now)) finish(state, said);
}

void UnloadTurn::ask(State&, Ask& ask) {
  ask.table = true;
}

/// The admin's table stays, with what was to go from it. So does that of another daemon: its rules report to groups
/// which another process holds. It goes on listening: a table of ours that comes back, by a saved ruleset, goes again.
Steps UnloadTurn::decide(State& state, const Seen& seen, Said&) {
  Steps steps;
  if (!*seen.table) return steps;
  const auto& config = state.settings.config;
  if (const auto& [table, group] = std::pair(**seen.table, (*seen.table)->group);
      group && !table.taken && group != state.standing.group)
    steps.push_back(Bind{*group, config->nflog.buffer_bytes, !state.settings.started});
  if (!state.work.left_over.empty()) steps.push_back(Commit{state.work.left_over, true});
  steps.insert(steps.end(), {Unload{config}, Listen{true, false}, Dismiss{}});
  return steps;
}

void UnloadTurn::settle(State& state, const Steps& steps, const Outcome& outcome, Said& said) {
  if (outcome.done > place_of<Unload>(steps)) {
    state.work.left_over.clear();
    settle_anew(state, {}, said);
    const auto plan = plan_close(state.ledger, {}, "door-removed", state.now); // those of another hand
    (void)state.ledger.accept(plan);
    for (const auto& event : plan.events) report(state, event, said);
  }
  if (!outcome.error) {
    if (state.finishing) finish(state, said);
    return;
  }
  const bool others = outcome.done == place_of<Bind>(steps) && outcome.error->code == EPERM;
  const auto error = others ? others_error(state.settings.config->nft.table) : *outcome.error;
  auto lines = state.table.fail(error, state.now, others);
  said.lines.insert(said.lines.end(), lines.begin(), lines.end());
  if (!state.finishing) return;
  const auto finishing = *std::exchange(state.finishing, std::nullopt);
  if (finishing.change.verb == RuleChange::Verb::start) said.failed = failure_of(error);
  if (!finishing.answered) state.desk.answer(finishing.change.ticket, refusal(error), said);
}

} // namespace knock::keeper
