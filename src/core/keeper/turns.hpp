// SPDX-License-Identifier: GPL-2.0-or-later
/// Turns: what one round is about. Rules and elements are never changed in the same round, but for the elements
/// that a new set of rules begins with.
///
/// Each: ask (what must be read), decide (the steps), settle (what became true; what was done is taken as done).
/// Threads: one.
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/keeper/draft.hpp"
#include "core/keeper/state.hpp"

namespace knock::keeper {

inline constexpr std::size_t kSlice =
    4'096; // elements that others removed, in one round: knocks do not wait for all
inline constexpr std::size_t kLargeBatch = 1'024; // elements; nft takes seconds over the text of more

/// Start, reload, on, off, confirm: another configuration, or another memory.
class ChangeTurn {
 public:
  explicit ChangeTurn(RuleChange change) : change_(std::move(change)) {}
  void ask(State& state, Ask& ask);
  Steps decide(State& state, const Seen& seen, Said& said);
  void settle(State& state, const Steps& steps, const Outcome& outcome, Said& said);

 private:
  tl::expected<Wish, Failure> wish(State& state, const Seen& seen, Said& said);
  tl::expected<Wish, Failure> wish_start(State& state, const Seen& seen, Said& said);
  tl::expected<Wish, Failure> wish_reload(State& state, const Seen& seen);
  tl::expected<Wish, Failure> wish_confirm(State& state);
  Result<Steps> steps(State& state, const Seen& seen);
  Steps steps_off(State& state, const Seen& seen, Steps memory);
  void load(State& state, const Seen& seen, Steps& steps);
  void undo_load(State& state);
  void fail(State& state, const Failure& failure, Said& said);

  RuleChange change_;
  std::optional<Wish> wish_;
  std::vector<std::string> texts_;               // confirm, off
  std::shared_ptr<const std::string> last_good_; // from here on; null: as it was
  std::vector<ConfigText> running_;              // the texts of `wish_`
  Draft draft_;                                  // sessions
  bool lost_ = false;                            // the table; then all that is open comes with the rules
  Batch left_over_;
  Batch anew_; // elements that stand again from here on
};

/// A table that others removed comes back, with what was open and the time that is left of it.
class HealTurn {
 public:
  void ask(State& state, Ask& ask);
  Steps decide(State& state, const Seen& seen, Said& said);
  void settle(State& state, const Steps& steps, const Outcome& outcome, Said& said);

 private:
  Batch open_;
  Batch left_over_;
  std::size_t elements_ = 0; // that come back
  bool with_elements_ = false;
};

/// Without a door: no table, no group bound.
class UnloadTurn {
 public:
  void ask(State& state, Ask& ask);
  Steps decide(State& state, const Seen& seen, Said& said);
  void settle(State& state, const Steps& steps, const Outcome& outcome, Said& said);
};

/// Grants open, change and end: one batch.
class GrantsTurn {
 public:
  void ask(State& state, Ask& ask);
  Steps decide(State& state, const Seen& seen, Said& said);
  void settle(State& state, const Steps& steps, const Outcome& outcome, Said& said);

 private:
  void take_back(State& state, const Seen& seen);
  void open(State& state, const Seen& seen, Said& said);
  void say(State& state, Said& said);
  void answer(State& state, const Opening& opening, const Draft::Part* part, Said& said);
  void drop(State& state, const Outcome& outcome, Said& said);
  bool admits(State& state, Opening& opening, bool fresh, Said& said);
  void make_room(State& state, const Opening& opening);
  void refuse_unwritten(State& state, const Outcome& outcome, Said& said);

  std::vector<GrantKey> removed_;                       // by others, as was heard
  bool looked_ = false;                                 // and something was to be put right
  std::map<std::string, std::set<std::uint64_t>> gone_; // that the configuration does not give any more
  Draft draft_;
  std::size_t accepted_ = 0; // steps that come before what was accepted is done
};

/// Users, devices and keys as they are on disk, beside the doors that run.
class UsersTurn {
 public:
  explicit UsersTurn(RuleChange change) : change_(std::move(change)) {}
  void ask(State& state, Ask& ask);
  Steps decide(State& state, const Seen& seen, Said& said);
  void settle(State& state, const Steps& steps, const Outcome& outcome, Said& said);

 private:
  RuleChange change_;
  ConfigPointer next_; // null: the files cannot be used
  std::vector<ConfigText> running_;
  std::vector<std::string> texts_; // what is wrong with files of users.d
};

/// Ends a change whose grants are closed: says what was done.
void finish(State& state, Said& said);
/// These grants cannot be closed for now: answers with what was done, and requests are taken again.
void answer_unfinished(State& state, const Error& error, Said& said);

} // namespace knock::keeper
