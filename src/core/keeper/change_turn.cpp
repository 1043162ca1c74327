// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include <knock/last_good.hpp>
#include <knock/status.hpp>

#include <knock/policy.hpp>

#include "core/keeper/trial.hpp"
#include "core/keeper/turns.hpp"

namespace knock::keeper {
namespace {

constexpr int kGroups = 4;

tl::unexpected<Failure> failed(const Error& error) {
  return tl::unexpected(failure_of(error));
}

bool changes_config(const RuleChange& change) {
  return change.verb == RuleChange::Verb::start || change.verb == RuleChange::Verb::reload;
}

/// A start guards nothing new: such a port is not confirmed until a reload says so.
void hold_new_ports(const State& state, Wish& wish, Said& said) {
  std::vector<Port> held;
  for (auto& [port, trial] : wish.memory.unconfirmed) {
    if (trial.until != state.now) continue;
    const auto before = state.kept.memory.unconfirmed.find(port);
    if (before == state.kept.memory.unconfirmed.end()) held.push_back(port);
    trial = before == state.kept.memory.unconfirmed.end() ? Trial{.until = {}, .told = true} : before->second;
  }
  if (!held.empty())
    said.lines.push_back(
        {LogLevel::warn, fmt::format("new since the configuration applied last, and not guarded until "
                                     "sudo knockctl reload --confirm 10m: {}",
                                     names(held))});
}

Failure forbidden(const Wish& wish) {
  return {ExitCode::usage,
          "usage",
          {},
          fmt::format("this would guard {}, maybe the port you are on: nothing is changed",
                      names(wish.applied.fresh)),
          "run: knockctl reload --confirm 10m (undone unless you confirm), or: knockctl reload --now"};
}

} // namespace

void ChangeTurn::ask(State& state, Ask& ask) {
  using Verb = RuleChange::Verb;
  ask.table = true;
  ask.memory = ask.grants = ask.stamps = change_.verb == Verb::start;
  ask.config = change_.verb == Verb::reload;
  ask.connections = changes_config(change_) || change_.verb == Verb::on;
  if (changes_config(change_) || change_.verb == Verb::on || state.table.is_lost())
    ask.elements = keys_of(state.ledger); // an element that is put anew forgets what it counted
  state.ends.ask_uses(ask);
}

tl::expected<Wish, Failure> ChangeTurn::wish_start(State& state, const Seen& seen, Said& said) {
  if (!*seen.grants) return failed(seen.grants->error());
  if (!*seen.memory)
    return failed(seen.memory->error()); // what is off, or on trial, must not be guarded for good
  state.kept.memory = state.kept.disk.recall(**seen.memory, said.lines);
  (void)state.table.take_removed(); // what is adopted was read behind it
  const auto last = parse_last_good((*seen.memory)->last_good);
  const auto before = last ? parse_config(last->texts).config : std::nullopt;
  recall_stamps(state, seen, before ? &*before : nullptr, said);
  running_ = std::exchange(state.settings.texts, {});
  last_good_ = std::make_shared<const std::string>(encode_last_good({state.kept.disk.boot(), running_}));
  const auto& config = state.settings.config;
  if (any_door(*config) && (*seen.table)->taken) {
    const auto error = taken_error(config->nft.table);
    return tl::unexpected(
        Failure{ExitCode::bad_config, "bad-config", {state.settings.path, 0, 0}, error.what, error.advice});
  }
  // Behind a boot nothing of ours can stand, but what a saved ruleset brought.
  const bool booted = last && last->boot != state.kept.disk.boot();
  state.ledger.adopt(
      booted ? std::span<const Element>{} : std::span<const Element>{**seen.grants},
      [&](std::string_view door) { return terms_of(*config, door); }, state.now);
  state.table.doubt(); // what it does not hold, or holds shorter, is there all the same
  if (const auto count = state.ledger.grants().size(); count != 0)
    said.lines.push_back({LogLevel::info, fmt::format("adopted {} grants from the kernel", count)});
  auto wish = plan_reload(before ? &*before : nullptr, config, state.kept.memory,
                          before ? ReloadOptions{.confirm = Millis{0}} : ReloadOptions{},
                          (*seen.table)->guarded, state.now);
  if (before) hold_new_ports(state, wish, said);
  return wish;
}

tl::expected<Wish, Failure> ChangeTurn::wish_reload(State& state, const Seen& seen) {
  if (!seen.config->config) return tl::unexpected(failure_of(seen.config->findings.front()));
  auto next = std::make_shared<const Config>(*seen.config->config);
  if (auto failure = unchangeable(*state.settings.config, *next, state.settings.path))
    return tl::unexpected(std::move(*failure));
  auto wish = plan_reload(state.settings.config.get(), std::move(next), state.kept.memory, change_.options,
                          (*seen.table)->guarded, state.now);
  if (is_forbidden(wish, change_.options)) return tl::unexpected(forbidden(wish));
  running_ = seen.config->texts;
  last_good_ = std::make_shared<const std::string>(encode_last_good({state.kept.disk.boot(), running_}));
  return wish;
}

tl::expected<Wish, Failure> ChangeTurn::wish_confirm(State& state) {
  const auto& config = state.settings.config;
  auto plan = plan_confirm(*config, state.kept.memory.unconfirmed, change_.anyway, state.now);
  if (plan.refusal) return tl::unexpected(std::move(*plan.refusal));
  texts_ = std::move(plan.texts);
  Wish wish{config, {std::move(plan.rest), state.kept.memory.off_since}};
  wish.sets = sets_of(*config, wish.memory, state.now);
  return wish;
}

tl::expected<Wish, Failure> ChangeTurn::wish(State& state, const Seen& seen, Said& said) {
  if (!*seen.table) return failed(seen.table->error());
  if (seen.connections && !*seen.connections) return failed(seen.connections->error());
  auto memory = state.kept.memory;
  switch (change_.verb) {
  case RuleChange::Verb::start: return wish_start(state, seen, said);
  case RuleChange::Verb::reload: return wish_reload(state, seen);
  case RuleChange::Verb::confirm: return wish_confirm(state);
  case RuleChange::Verb::off: memory.off_since = state.wall; return Wish{state.settings.config, memory};
  case RuleChange::Verb::on: memory.off_since.reset(); break;
  case RuleChange::Verb::users: break; // UsersTurn
  }
  return plan_reload(state.settings.config.get(), state.settings.config, memory, {}, (*seen.table)->guarded,
                     state.now);
}

/// The rules with what they begin with: connections that go on, or all that is open when the table was gone.
void ChangeTurn::load(State& state, const Seen& seen, Steps& steps) {
  const auto& next = *wish_->config;
  wish_->applied.changed = wish_->applied.changed || (lost_ && change_.verb != RuleChange::Verb::start);
  auto open = unowned(state, left_over_, false);
  auto led = unowned(state, left_over_, true);
  const bool resized = next.nft.mode == Mode::gate && (*seen.table)->set_size != 2 * next.limits.grants;
  if (lost_ || resized) anew_ = all_open(state.ledger, state.now);
  const auto all = lost_ || resized ? anew_ : draft_.batch();
  open.insert(open.end(), all.begin(), all.end());
  const bool apart = open.size() >= kLargeBatch;
  steps.push_back(Load{wish_->config, wish_->sets, apart ? Batch{} : open});
  if (apart) steps.push_back(Commit{std::move(open)});
  if (!led.empty()) steps.push_back(Commit{std::move(led), true});
}

/// Groups first: a second daemon must fail before it touches the table of the first. What has to be on disk is
/// there before the rules, but for a confirmation: a daemon killed in between must not guard for good.
Result<Steps> ChangeTurn::steps(State& state, const Seen& seen) {
  const auto& next = *wish_->config;
  auto memory = state.kept.disk.remember(wish_->memory);
  if (change_.verb == RuleChange::Verb::off) return steps_off(state, seen, std::move(memory));
  if (change_.verb == RuleChange::Verb::start)
    memory.clear();      // it adds nothing to a guard: a full disk is no reason
  if (!any_door(next)) { // what stands goes next, with all that was opened: it may be another daemon's, too
    const auto& [table, held] = std::pair(**seen.table, state.standing.group);
    if (table.group && !table.taken && !held)
      memory.insert(memory.begin(), Bind{*table.group, next.nflog.buffer_bytes});
    return memory;
  }
  const auto sequences = sequences_of(next);
  const auto policy = Policy::compile(sequences, next.limits.cooloff);
  if (!policy) return tl::unexpected(Error{text_of(policy.error(), sequences), 0, policy.error().advice});
  const auto& bound = state.standing.group;
  const int first = next.nflog.group;
  Steps steps;
  if (bound && *bound != first && std::abs(*bound - first) < kGroups)
    return tl::unexpected(Error{fmt::format("NFLOG groups {}-{} overlap those in use", first, first + 3), 0,
                                "systemctl restart knockgated"});
  // The rules that stand report to groups which no other process may hold: else the table is another daemon's.
  if (const auto group = (*seen.table)->group; !bound && group && *group != first)
    steps.push_back(Bind{*group, next.nflog.buffer_bytes});
  if (!bound || *bound != first) steps.push_back(Bind{next.nflog.group, next.nflog.buffer_bytes});
  const Instruct instruct{policy->encode(), next.limits.attempts, next.nflog.buffer_bytes,
                          takes_kn1(next) ? kCopiedWhole : policy->kinds().copy_bytes()};
  if (!state.standing.engine) steps.push_back(instruct);
  const bool confirms = change_.verb == RuleChange::Verb::confirm;
  if (!confirms) steps.insert(steps.end(), memory.begin(), memory.end());
  if (!state.standing.listen.table) steps.push_back(Listen{true, state.standing.listen.flows});
  load(state, seen, steps);
  if (confirms) steps.insert(steps.end(), memory.begin(), memory.end());
  if (state.standing.engine && changes_config(change_)) steps.push_back(instruct);
  return steps;
}

/// The way out of a lock-out needs no disk, and no table of ours.
Steps ChangeTurn::steps_off(State& state, const Seen& seen, Steps memory) {
  Steps steps;
  const auto& table = **seen.table;
  if (any_door(*wish_->config) && (table.there || !table.guarded.empty())) load(state, seen, steps);
  steps.insert(steps.end(), memory.begin(), memory.end());
  return steps;
}

Steps ChangeTurn::decide(State& state, const Seen& seen, Said& said) {
  auto wished = wish(state, seen, said);
  if (!wished) {
    fail(state, wished.error(), said);
    return {};
  }
  wish_ = std::move(*wished);
  state.ledger.note(seen.elements);
  lost_ = state.table.is_lost() || !(*seen.table)->there;
  if (lost_ || !seen.elements_error) state.ends.count_uses(state.ledger, seen, state.now);
  left_over_ = lost_ ? close_removed(state) : std::exchange(state.work.left_over, {});
  if (seen.connections)
    for (const auto& request : sessions_of(*wish_->config, wish_->applied.guarded, **seen.connections,
                                           state.ledger.book().sessions().size()))
      draft_.add(state.ledger, plan_open(state.ledger, {&request, 1}, state.now));
  auto planned = steps(state, seen);
  if (!planned) {
    draft_.revert(state.ledger);
    state.work.left_over = std::move(left_over_);
    wish_.reset();
    fail(state, failure_of(planned.error()), said);
    return {};
  }
  return std::move(*planned);
}

void ChangeTurn::fail(State& state, const Failure& failure, Said& said) {
  switch (change_.verb) {
  case RuleChange::Verb::start: said.failed = failure; return;
  case RuleChange::Verb::reload:
    if (failure.exit == ExitCode::usage) {
      said.lines.push_back({LogLevel::error, "reload refused: " + to_string(failure)});
    } else {
      said.lines.push_back({LogLevel::error, "reload failed, the old config stays: " + to_string(failure)});
      state.settings.error = failure;
    }
    break;
  default: break;
  }
  state.desk.answer(change_.ticket, Reply{{}, failure}, said);
}

/// The rules are in the kernel, and the change failed behind them: the old ones come back, and take away what came
/// with the new ones.
void ChangeTurn::undo_load(State& state) {
  state.table.lose();
  for (const auto& change : draft_.batch())
    if (!state.ledger.elements().contains(change.key))
      state.work.left_over.push_back({Change::Kind::remove, change.key});
}

void ChangeTurn::settle(State& state, const Steps& steps, const Outcome& outcome, Said& said) {
  if (!wish_) return;
  const bool unremembered =
      change_.verb == RuleChange::Verb::off && outcome.error && outcome.done >= place_of<Remember>(steps);
  if (unremembered) {
    if (std::get<Remember>(steps[outcome.done]).file == Remember::File::off)
      texts_.push_back(
          fmt::format("a restart guards again, it could not be remembered: {}", to_string(*outcome.error)));
    state.kept.not_before = state.now + kDiskAgain;
  } else if (outcome.error) {
    draft_.revert(state.ledger);
    state.work.left_over.insert(state.work.left_over.end(), left_over_.begin(), left_over_.end());
    if (outcome.done > place_of<Load>(steps)) undo_load(state);
    return fail(state, failure_of(*outcome.error), said);
  }
  const bool guards = any_door(*wish_->config);
  if (guards && !is_needed(state)) state.table.doubt(); // what others did while nothing was guarded
  if (guards) settle_anew(state, std::move(anew_), said);
  const auto before = std::exchange(state.kept.memory, wish_->memory);
  state.kept.memory.last_good = last_good_ ? last_good_ : before.last_good;
  if (changes_config(change_)) {
    const auto before_config = std::exchange(state.settings.config, wish_->config);
    state.settings.read = state.wall;
    if (change_.verb == RuleChange::Verb::reload) state.settings.error.reset();
    for (auto& line : user_lines(before_config.get(), *wish_->config, {}))
      said.lines.push_back(std::move(line));
    state.settings.running = std::move(running_);
    state.knocks.follow(*wish_->config);
    follow_keys(state);
    state.ledger.set_limits({wish_->config->limits.grants, wish_->config->limits.per_source});
  }
  if (guards)
    state.table.settle_load();
  else
    state.work.left_over = std::move(left_over_);                 // goes with the rules
  if (outcome.anew && !lost_) state.table.lose(is_needed(state)); // what was open comes with the next load
  if (change_.verb == RuleChange::Verb::start) state.ends.look_at_flows();
  for (const auto& part : draft_.parts())
    for (const auto& event : part.plan.events) {
      report(state, event, said);
      wish_->applied.sessions.push_back(event.grant);
    }
  state.finishing =
      Finishing{change_, std::move(wish_->applied), before.unconfirmed, std::move(texts_), false};
}

} // namespace knock::keeper
