// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/keeper/turns.hpp"

namespace knock::keeper {

/// Counters first: elements that still stand are put anew, and count on from what is known. Of very many they are
/// not read: nothing is guarded meanwhile.
void HealTurn::ask(State& state, Ask& ask) {
  if (state.ledger.grants().size() < kLargeBatch) ask.elements = keys_of(state.ledger);
  state.ends.ask_uses(ask);
  ask.memory = !state.kept.memory.off_since; // root may have turned it off alone, while we did not answer
}

/// One transaction, unless nft would take seconds over its text, or did not take it: then elements follow in a
/// batch of their own. The guard comes back whatever they are.
Steps HealTurn::decide(State& state, const Seen& seen, Said& said) {
  if (seen.memory && *seen.memory)
    if (const auto off_since = state.kept.disk.recall_off((*seen.memory)->off)) {
      state.kept.memory.off_since = off_since;
      state.table.forget();
      state.table.doubt();
      said.lines.push_back(
          {LogLevel::warn, "off: root did so without us; nothing is guarded until knockctl on"});
      return {};
    }
  state.ledger.note(seen.elements);
  state.ends.count_uses(state.ledger, seen, state.now);
  const auto& settings = state.settings;
  left_over_ = close_removed(state);
  std::erase_if(left_over_,
                [&](const Change& change) { return state.ledger.elements().contains(change.key); });
  const auto leads = std::stable_partition(left_over_.begin(), left_over_.end(), [](const Change& change) {
    return change.key.set != GrantSet::forward;
  });
  // The maps are there while a door needs them: what may fail comes last.
  const Batch led(leads, left_over_.end());
  open_ = all_open(state.ledger, state.now);
  elements_ = open_.size();
  open_.insert(open_.end(), left_over_.begin(), leads);
  with_elements_ = !state.table.is_apart() && open_.size() < kLargeBatch;
  Steps steps{Load{settings.config, sets_of(*settings.config, state.kept.memory, state.now),
                   with_elements_ ? open_ : Batch{}}};
  if (!with_elements_ && !open_.empty()) steps.push_back(Commit{open_});
  needed_ = steps.size();
  if (!led.empty()) steps.push_back(Commit{led});
  return steps;
}

void HealTurn::settle(State& state, const Steps& steps, const Outcome& outcome, Said& said) {
  if (steps.empty()) return; // off
  const bool healed = outcome.done >= needed_ && (!outcome.error || outcome.error->code == ENOENT);
  const auto error = healed ? std::nullopt : outcome.error;
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

void UnloadTurn::ask(State&, Ask&) {}

/// It goes on listening: a table of ours that comes back, by a saved ruleset, goes again.
Steps UnloadTurn::decide(State& state, const Seen&, Said&) {
  return {Unload{state.settings.config}, Listen{true, false}, Dismiss{}};
}

void UnloadTurn::settle(State& state, const Steps&, const Outcome& outcome, Said& said) {
  if (!outcome.error) {
    const auto plan = plan_close(state.ledger, {}, "door-removed", state.now); // those of another hand
    (void)state.ledger.accept(plan);
    for (const auto& event : plan.events) report(state, event, said);
    if (state.finishing) finish(state, said);
    return;
  }
  auto lines = state.table.fail(*outcome.error, state.now);
  said.lines.insert(said.lines.end(), lines.begin(), lines.end());
  if (!state.finishing) return;
  const auto finishing = *std::exchange(state.finishing, std::nullopt);
  if (finishing.change.verb == RuleChange::Verb::start) said.failed = failure_of(*outcome.error);
  if (!finishing.answered) state.desk.answer(finishing.change.ticket, refusal(*outcome.error), said);
}

} // namespace knock::keeper
