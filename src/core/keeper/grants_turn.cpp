// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include <knock/status.hpp>

#include "core/keeper/turns.hpp"

namespace knock::keeper {
namespace {

constexpr std::size_t kLongLook = 64; // unused grants of a door that is at its limit, whose counters are read

std::vector<GrantRequest> requests_of(const Work& work) {
  std::vector<GrantRequest> requests;
  for (const auto& job : work.jobs)
    if (const auto* opening = std::get_if<Opening>(&job); opening != nullptr && opening->opens)
      requests.push_back(opening->request);
  return requests;
}

std::string_view reason_of(const Closing& closing) {
  if (closing.signed_packet) return "client";
  return closing.ticket != 0 ? "hand" : "knock";
}

} // namespace

/// Counters first: an element put anew counts on from where the old one stood, an audit line tells what is true
/// now, and what is used is not given up.
void GrantsTurn::ask(State& state, Ask& ask) {
  auto& ledger = state.ledger;
  if (state.table.is_doubted() && state.settings.started) ask.table = ask.grants = true;
  if (!is_stuck(state)) removed_ = state.table.take_removed(kSlice);
  ask.add(removed_);
  for (const auto& key : removed_) ask.add(keys_of(ledger, matching(ledger.book(), {.key = key})));
  if (state.finishing) gone_ = gone_grants(*state.settings.config, ledger, wall_now(state));
  for (const auto& [reason, ids] : gone_) ask.add(keys_of(ledger, matching(ledger.book(), {.ids = ids})));
  const auto requests = requests_of(state.work);
  for (const auto& request : requests) ask.add(keys_of(ledger, request));
  if (const auto spare = ledger.spare(requests); !spare.empty())
    ask.add(keys_of(ledger, ledger.book().find_all(ledger.spare(requests, spare.size() + kLongLook))));
  for (const auto& job : state.work.jobs)
    if (const auto* closing = std::get_if<Closing>(&job))
      ask.add(keys_of(ledger, matching(ledger.book(), closing->which)));
  state.ends.ask(ledger, state.standing.listen.flows, state.now, ask);
}

/// What we put again meanwhile stands, if it could be looked at. Else it waits for another look; but a knock may
/// share the element, and would bring back what was taken.
void GrantsTurn::take_back(State& state, const Seen& seen) {
  if (seen.elements_error && state.work.jobs.empty()) state.table.keep_removed(std::exchange(removed_, {}));
  if (removed_.empty()) return;
  std::set<GrantKey> there;
  for (const auto& element : seen.elements) there.insert(element.key);
  const auto& held = state.ledger.elements();
  std::erase_if(removed_, [&](const GrantKey& key) { return !held.contains(key) || there.contains(key); });
  for (const auto& key : removed_)
    draft_.add(state.ledger, plan_close(state.ledger, {.key = key}, "foreign", state.now));
}

/// Where counters could not be read, any grant may be used: none is given up.
void GrantsTurn::open(State& state, const Seen& seen, Said& said) {
  auto& ledger = state.ledger;
  std::set<JobId> out;           // that come to nothing
  std::set<std::string> running; // of several that come at once, one starts the command
  for (auto& job : state.work.jobs) {
    if (const auto* closing = std::get_if<Closing>(&job)) {
      draft_.add(ledger, plan_close(ledger, closing->which, reason_of(*closing), state.now), closing->job);
      continue;
    }
    auto& opening = std::get<Opening>(job);
    if (!opening.opens) {
      if (!admits(state, opening, true, said)) out.insert(opening.job);
      continue;
    }
    auto& request = opening.request;
    if (request.terms.says_close) request.terms.says_close = running.insert(request.door).second;
    const auto spare = seen.elements_error ? std::vector<std::uint64_t>{} : ledger.spare({&request, 1});
    auto plan = plan_open(ledger, {&request, 1}, state.now, spare);
    const auto verb = plan.events.empty() ? LedgerEvent::Verb::refused : plan.events.back().verb;
    const bool refused = verb == LedgerEvent::Verb::refused;
    const bool admitted = refused || admits(state, opening, verb == LedgerEvent::Verb::open, said);
    if ((refused || !admitted) && request.terms.says_close) running.erase(request.door); // it starts nothing
    if (!admitted) {
      out.insert(opening.job);
      continue;
    }
    if (opening.signed_packet && verb == LedgerEvent::Verb::open) make_room(state, opening);
    draft_.add(ledger, std::move(plan), opening.job);
  }
  std::erase_if(state.work.jobs, [&](const Job& job) { return out.contains(id_of(job)); });
}

/// Whether what a device asks for may be: a refresh finds what it extends, and openings are left.
bool GrantsTurn::admits(State& state, Opening& opening, bool fresh, Said& said) {
  constexpr Seconds kOneOpening{10}; // over IPv4 and IPv6, one after the other
  if (!opening.signed_packet || !fresh) return true;
  auto& asks = *opening.signed_packet;
  const auto& kid = asks.kid;
  if (asks.refresh) {
    ++state.tally.kn1_accepted;
    ++state.tally.kn1_idle;
    return false;
  }
  if (asks.openings == 0 || std::exchange(asks.admitted, true)) return true;
  const auto& request = opening.request;
  const auto [place, first] = state.kn1.counted.try_emplace({kid, request.door});
  auto& last = place->second;
  const bool other = opening.opens && !first && last.family != request.source.family;
  if (other && !std::exchange(last.both, true) && state.now < last.at + kOneOpening) return true;
  if (state.kn1.stamps.openings(kid) >= asks.openings) {
    ++state.tally.refused["kn1_openings"];
    refuse_signed(state, opening, "openings", said);
    return false;
  }
  state.kn1.stamps.count_opening(kid);
  asks.counted = true;
  last = {state.now, request.source.family, false};
  return true;
}

/// One address more than a device may have open closes its oldest.
void GrantsTurn::make_room(State& state, const Opening& opening) {
  const auto& request = opening.request;
  auto& ledger = state.ledger;
  std::map<Address, Instant> since; // the addresses, by when they were opened first
  for (const auto* grant : ledger.book().of_device(request.by))
    if (grant->ends > state.now)
      since[grant->source] =
          std::min(since.try_emplace(grant->source, grant->opened).first->second, grant->opened);
  const auto own = masked(request.source, request.prefix);
  if (since.contains(own) || since.size() < opening.signed_packet->addresses) return;
  const auto oldest = std::min_element(since.begin(), since.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
  draft_.add(ledger, plan_close(ledger, {.source = oldest->first, .by = request.by}, "addresses", state.now));
}

Steps GrantsTurn::decide(State& state, const Seen& seen, Said& said) {
  auto& ledger = state.ledger;
  auto right = seen.table ? look_at_table(state, seen) : Plan{};
  ledger.note(seen.elements);
  if (seen.elements_error) draft_.distrust_counters();
  state.ends.look(ledger, seen, state.now);
  if (is_stuck(state)) {
    state.table.keep_removed(std::exchange(removed_, {})); // it was lost only now
    if (!state.table.heals(state.now)) {                   // else all waits for that
      const auto absence = state.table.absence(state.settings.config->nft.table);
      if (!state.work.jobs.empty()) refuse_jobs(state, absence, said);
      answer_unfinished(state, absence, said);
    }
  } else {
    looked_ = !right.empty();
    draft_.add(ledger, std::move(right));
    take_back(state, seen);
    for (const auto& [reason, ids] : gone_)
      draft_.add(ledger, plan_close(ledger, {.ids = ids}, reason, state.now));
    state.ends.plan(ledger, seen, state.now, draft_);
    open(state, seen, said);
  }
  auto listen = state.standing.listen;
  if (!state.settings.started) listen.table = true; // before it is read
  const bool needs_flows = !ledger.book().watching().empty();
  if (!needs_flows) state.standing.deaf_flows.reset(); // asked once, until no grant needs it
  if (!state.standing.deaf_flows) listen.flows = needs_flows;
  Steps steps;
  if (listen != state.standing.listen) steps.push_back(listen);
  for (auto& step : accepted_steps(state)) steps.push_back(std::move(step));
  accepted_ = steps.size();
  if (!seen.elements_error) draft_.leave_out(removed_);
  // Lost, and not stuck: off, or without a door. A set may be gone while others stand.
  if (auto batch = draft_.batch(); !batch.empty())
    steps.push_back(Commit{std::move(batch), state.table.is_lost()});
  // Last: a full disk must not keep a knock out. Ceilings wait for no other file that could not be written.
  const bool tries = !state.kept.not_before || *state.kept.not_before <= state.now;
  const auto memory = tries ? state.kept.disk.remember(state.kept.memory) : Steps{};
  steps.insert(steps.end(), memory.begin(), memory.end());
  if (tries || !state.kn1.unkept)
    for (auto& step : ceiling_steps(state)) steps.push_back(std::move(step));
  return steps;
}

void GrantsTurn::answer(State& state, const Opening& opening, const Draft::Part* part, Said& said) {
  const auto& request = opening.request;
  const auto* door = enabled_door(*state.settings.config, request.door);
  if (door == nullptr) {
    refuse_signed(state, opening, "door", said);
    return state.desk.answer(opening.ticket, refusal({"the door is gone", 0, ""}), said);
  }
  Reply reply;
  if (part != nullptr) reply = opening_reply(part->plan.events.back(), *door, request.source, state.now);
  const bool opened = reply.failure.exit == ExitCode::done; // else a limit refused it
  const bool runs =
      !door->run.empty() && opened && !(opening.signed_packet && opening.signed_packet->refresh);
  const bool starts = runs && state.knocks.start_command(*door, state.now);
  if (!opened || (!opening.opens && !starts)) {
    refuse_signed(state, opening, opened ? "cooldown" : part->plan.events.back().reason, said);
  } else if (opening.signed_packet) {
    ++state.tally.kn1_accepted;
    state.kn1.requests.note_opened(request.by, state.wall);
  }
  if (starts) {
    said.runs.push_back({opening.ticket, run_of(*state.settings.config, *door, opening)});
    if (opening.ticket != 0) state.desk.keep(opening.ticket, std::move(reply), door->run[0]);
    return;
  }
  if (runs) reply.lines.push_back(text_line(fmt::format("{} did not start: cooldown", door->run[0])));
  if (opening.ticket != 0) state.desk.answer(opening.ticket, std::move(reply), said);
}

/// All of it is true now. Job by job: a door's command for the end comes behind the one for the beginning.
void GrantsTurn::say(State& state, Said& said) {
  std::map<JobId, const Draft::Part*> parts;
  std::size_t gone = 0;
  const auto report_all = [&](const Draft::Part& part) {
    for (const auto& event : part.plan.events) {
      report(state, event, said);
      if (gone_.contains(event.reason)) ++gone;
    }
  };
  for (const auto& part : draft_.parts())
    if (part.job != 0)
      parts[part.job] = &part;
    else
      report_all(part);
  for (const auto& job : std::exchange(state.work.jobs, {})) {
    const auto found = parts.find(id_of(job));
    const auto* part = found == parts.end() ? nullptr : found->second;
    if (part != nullptr) report_all(*part);
    if (const auto* opening = std::get_if<Opening>(&job)) {
      answer(state, *opening, part, said);
      continue;
    }
    const auto& closing = std::get<Closing>(job);
    const auto closed = part == nullptr ? 0 : part->plan.closed.size();
    if (closing.signed_packet) ++state.tally.kn1_accepted;
    if (closing.signed_packet && closed == 0) ++state.tally.kn1_idle;
    if (closing.ticket == 0) continue;
    state.desk.answer(closing.ticket,
                      closed == 0 && !closing.all
                          ? refusal(ExitCode::failed, "failed", "nothing open matches",
                                    "knockctl status shows what is open")
                          : told({fmt::format("{} closed.", plural(closed, "grant"))}),
                      said);
  }
  state.ends.settle(state.ledger, true, state.now);
  if (!state.finishing) return;
  state.finishing->applied.closed += gone;
  if (any_door(*state.settings.config)) finish(state, said);
}

/// What was accepted could not be written: signed packets wait for nothing, all else comes again at once.
void GrantsTurn::refuse_unwritten(State& state, const Outcome& outcome, Said& said) {
  constexpr Millis kAgain{1'000};
  state.table.keep_removed(removed_);
  if (looked_) state.table.doubt();
  state.ends.settle(state.ledger, false, state.now);
  auto& kn1 = state.kn1;
  if (!kn1.error)
    said.lines.push_back({LogLevel::error, "no signed packet is accepted: " + to_string(*outcome.error)});
  kn1.error = outcome.error;
  kn1.not_before = state.now + kAgain;
  state.tally.refused["kn1_state"] += std::erase_if(state.work.jobs, [&](const Job& job) {
    const auto* opening = std::get_if<Opening>(&job);
    const bool is_signed =
        opening != nullptr ? opening->signed_packet.has_value() : std::get<Closing>(job).signed_packet;
    if (is_signed) std::visit([&](const auto& one) { refuse_signed(state, one, "state", said); }, job);
    return is_signed;
  });
}

/// The kernel took nothing: what it named goes, the rest comes again at once.
void GrantsTurn::drop(State& state, const Outcome& outcome, Said& said) {
  const auto& error = *outcome.error;
  state.table.keep_removed(removed_);
  if (looked_) state.table.doubt();
  if (error.code == ENOENT && outcome.refused.empty()) {
    state.table.lose(is_needed(state));
    return; // the jobs wait for the next round: the table comes back first, if it is needed
  }
  if (outcome.refused.empty()) {
    refuse_jobs(state, error, said);
    return state.ends.settle(state.ledger, false, state.now);
  }
  const auto refused = draft_.refused(outcome.refused);
  std::set<JobId> ids;
  for (std::size_t i = 0; i < refused.size(); ++i)
    if (refused[i]) ids.insert(draft_.parts()[i].job);
  if (ids.contains(0)) state.ends.settle(state.ledger, false, state.now);
  refuse_jobs(state, error, said, &ids);
}

void GrantsTurn::settle(State& state, const Steps& steps, const Outcome& outcome, Said& said) {
  const auto commit = place_of<Commit>(steps);
  if (outcome.error && outcome.done < accepted_) {
    draft_.revert(state.ledger);
    return refuse_unwritten(state, outcome, said);
  }
  const bool committed = commit == steps.size() || outcome.done > commit;
  if (committed && outcome.error) { // of the disk
    auto& [memory, disk, off_alone, not_before, error] = state.kept;
    const auto text = to_string(*outcome.error);
    if (!error || to_string(*error) != text) said.lines.push_back({LogLevel::warn, text});
    error = outcome.error;
    not_before = state.now + kDiskAgain;
    const auto* failed = std::get_if<Remember>(&steps[outcome.done]);
    if (failed != nullptr && failed->file == Remember::File::ceilings) state.kn1.unkept = error;
  }
  if (committed) {
    if (!is_stuck(state)) say(state, said);
  } else {
    draft_.revert(state.ledger);
    drop(state, outcome, said);
  }
}

} // namespace knock::keeper
