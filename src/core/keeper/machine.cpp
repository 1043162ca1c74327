// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/machine.hpp"

#include <charconv>
#include <utility>

#include "core/keeper/trial.hpp"

namespace knock::keeper {
namespace {

constexpr int kAtOnce = 64; // what failed comes again at once, so often
constexpr Millis kLookAgain{1'000};
constexpr Millis kLookTold{60'000}; // that the kernel cannot be read
constexpr Millis kWaited{60'000};   // knockctl: to be accepted, and to be answered
constexpr Millis kBreath{1};        // between two slices the next wake-up hears who waits

/// Why the kernel was not read as asked.
std::optional<Error> look_error(const Seen& seen) {
  auto error = seen.elements_error;
  const auto take = [&](const auto& read) {
    if (!error && read && !*read) error = read->error();
  };
  take(seen.table);
  take(seen.grants);
  take(seen.flows);
  take(seen.connections);
  return error;
}

/// Whether it is an `on` that was typed before root turned it off alone: it must not undo that. By the wall clock, so only
/// as long as a knockctl may have waited.
bool is_overtaken(const State& state, const Asked& asked) {
  const auto& off = state.kept.off_alone;
  if (asked.request.verb != "on" || asked.right != Right::root) return false;
  if (!state.kept.memory.off_since || !off || state.now >= off->learnt + kWaited) return false;
  std::int64_t at_ms = 0;
  const auto text = asked.request.find("at").value_or("");
  (void)std::from_chars(text.data(), text.data() + text.size(), at_ms);
  return at_ms < off->at_ms;
}

} // namespace

Machine::Machine(Start start) {
  state_.settings.path = std::move(start.config_path);
  state_.settings.config = std::move(start.config);
  state_.settings.texts = std::move(start.texts);
  state_.settings.error = std::move(start.error);
  state_.kept.disk = Disk(std::move(start.boot));
  state_.work.change = RuleChange{};
}

/// What it says of an opening by an earlier round is heard before what knockctl asks next.
void Machine::hear(Heard heard) {
  state_.now = heard.now;
  state_.wall = heard.wall;
  hear_clock(state_, heard.clock);
  if (heard.own) state_.knocks.set_own(std::move(*heard.own));
  // First: all else that came meanwhile is judged by it. Behind each load another round follows at once, so that one
  // which came too late does not stay. A start reads it for itself.
  const bool recalled = state_.settings.started || state_.finishing;
  if (recalled && heard.off && learn_off(state_, *heard.off, said_)) {
    auto& change = state_.work.change;
    if (change && (change->verb == RuleChange::Verb::on || change->options.confirm)) // a trial proves nothing
      state_.desk.answer(std::exchange(change, std::nullopt)->ticket, refusal(off_meanwhile()), said_);
  }
  for (const auto& event : state_.ledger.expire(state_.now)) report(state_, event, said_);
  for (const auto& disturbance : heard.disturbances)
    state_.table.hear(disturbance, config().nft.mode, is_needed(state_));
  if (state_.kept.memory.off_since) (void)state_.table.take_removed(); // nothing is guarded
  state_.ends.hear(state_.ledger, heard);
  for (const auto& ran : heard.ran) state_.desk.hear(ran, said_);
  if (auto line = tell_ended(state_.kept.memory.unconfirmed, state_.now))
    said_.lines.push_back(std::move(*line));
  auto& work = state_.work;
  work.completed.insert(work.completed.end(), heard.completed.begin(), heard.completed.end());
  std::move(heard.kn1.begin(), heard.kn1.end(), std::back_inserter(work.kn1));
  for (auto& asked : heard.asked) {
    state_.desk.wait(asked);
    work.asked.push_back(std::move(asked));
  }
}

/// Knocks first, then requests, up to the first that changes the rules.
void Machine::take_requests() {
  auto& work = state_.work;
  std::vector<Job> jobs;
  const auto records = std::exchange(work.completed, {});
  const auto asked_for = std::exchange(work.kn1, {});
  if (!state_.kept.memory.off_since) {
    said_.suspicions += state_.knocks.judge(records, state_.now, jobs, state_.tally.refused, said_.lines);
    auto& kn1 = state_.kn1;
    kn1.requests.set_unwritten(unaccepted(kn1).has_value());
    kn1.requests.judge(asked_for, {state_.now, kn1.clock}, state_.knocks, kn1.stamps, jobs,
                       state_.tally.refused, said_.lines);
  }
  const auto add = [&](auto job) {
    job.job = ++work.last_job;
    work.jobs.emplace_back(std::move(job));
  };
  for (auto& job : jobs) std::visit([&](auto& one) { add(std::move(one)); }, job);
  while (!work.asked.empty() && !work.change) {
    const auto asked = std::move(work.asked.front());
    work.asked.pop_front();
    auto taken =
        is_overtaken(state_, asked)
            ? Taken{refusal(off_meanwhile())}
            : take(asked, {config(), state_.kept.memory, state_.knocks, state_.now, clocks_of(state_)});
    if (auto* reply = std::get_if<Reply>(&taken)) state_.desk.answer(asked.ticket, std::move(*reply), said_);
    if (auto* plain = std::get_if<Plain>(&taken))
      state_.desk.answer_plainly(asked.ticket, std::move(plain->reply), said_);
    if (auto* opening = std::get_if<Opening>(&taken)) add(std::move(*opening));
    if (auto* closing = std::get_if<Closing>(&taken)) add(std::move(*closing));
    if (std::holds_alternative<AcceptClock>(taken))
      state_.desk.answer(asked.ticket, accept_clock(state_), said_);
    if (auto* change = std::get_if<RuleChange>(&taken)) work.change = std::move(*change);
  }
}

Machine::Turn Machine::next_turn() {
  auto& work = state_.work;
  const bool guards = any_door(config());
  // What others took back must not come back with new rules; off brings nothing.
  const bool taken_back = state_.table.removed() != 0 && !state_.table.is_lost() &&
                          !state_.kept.memory.off_since && work.change &&
                          work.change->verb != RuleChange::Verb::off;
  if (guards && !state_.settings.started && !std::exchange(state_.standing.tried_to_listen, true))
    return GrantsTurn{};
  if (!is_finishing() && work.jobs.empty() && work.change && !taken_back) {
    auto change = *std::exchange(work.change, std::nullopt);
    if (change.verb == RuleChange::Verb::users) return UsersTurn(std::move(change));
    return ChangeTurn(std::move(change));
  }
  if (!state_.settings.started && !state_.finishing) return GrantsTurn{};
  const bool heals = state_.table.heals(state_.now);
  if (guards && heals) return HealTurn{};
  if (!guards && (state_.standing.engine || state_.finishing || heals) &&
      gone_grants(config(), state_.ledger, wall_now(state_)).empty())
    return UnloadTurn{};
  return GrantsTurn{};
}

Ask Machine::ask(Heard heard) {
  said_ = {};
  hear(std::move(heard));
  if (state_.settings.started && !is_finishing() && !state_.work.change) take_requests();
  turn_ = next_turn();
  Ask ask;
  std::visit([&](auto& turn) { turn.ask(state_, ask); }, turn_);
  return ask;
}

const Steps& Machine::decide(const Seen& seen) {
  const auto error = look_error(seen);
  look_failed_ = error.has_value();
  if (look_failed_) ++failures_;
  if (error && (!look_told_ || *look_told_ + kLookTold <= state_.now)) {
    said_.lines.push_back({LogLevel::warn, to_string(*error)});
    look_told_ = state_.now;
  }
  return steps_ = std::visit([&](auto& turn) { return turn.decide(state_, seen, said_); }, turn_);
}

Said Machine::settle(const Outcome& outcome) {
  take_steps(state_, steps_, outcome);
  std::visit([&](auto& turn) { turn.settle(state_, steps_, outcome, said_); }, turn_);
  if (outcome.error) ++failures_;
  if (!outcome.error && !look_failed_) failures_ = 0;
  auto due = next();
  if (failures_ > kAtOnce) {
    if (outcome.error) answer_unfinished(state_, *outcome.error, said_);
    if (due) due = std::max(*due, state_.now + kLookAgain);
  }
  said_.next = sooner(due, state_.tally.audit.sum_up(state_.now, said_.lines));
  return std::exchange(said_, {});
}

std::vector<Line> Machine::last_lines() {
  std::vector<Line> lines;
  (void)state_.tally.audit.sum_up(kNever, lines);
  return lines;
}

/// When there is something to do, if nothing is heard.
std::optional<Instant> Machine::next() const {
  const auto& work = state_.work;
  const auto now = state_.now;
  const bool waits = work.change || !work.asked.empty() || !work.completed.empty() || !work.kn1.empty() ||
                     !work.jobs.empty();
  // Without a table nothing is changed: what is due waits until it is back.
  const bool stuck = is_stuck(state_);
  if (waits && !(is_finishing() && stuck)) return now;
  if (state_.finishing && !stuck) return now;
  if (!any_door(config()) && state_.standing.engine) return now;
  if (const auto removed = state_.table.removed(); removed != 0 && !state_.kept.memory.off_since && !stuck)
    return removed > kSlice ? now + kBreath : now;
  auto next = sooner(stuck ? state_.ledger.book().next_end() : state_.ends.next(state_.ledger),
                     next_ended(state_.kept.memory.unconfirmed));
  next = sooner(next, state_.table.next(now));
  if (!stuck) next = sooner(next, next_signed(state_));
  if (state_.ends.wants_flows() && state_.standing.listen.flows && !stuck) return now;
  const bool needs_flows = !state_.ledger.book().watching().empty();
  if (state_.standing.listen.flows != needs_flows && !state_.standing.deaf_flows) return now;
  if (!state_.kept.disk.remember(state_.kept.memory).empty())
    next = sooner(next, state_.kept.not_before.value_or(now));
  return next;
}

} // namespace knock::keeper
