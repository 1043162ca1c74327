// SPDX-License-Identifier: GPL-2.0-or-later
/// Machine: the keeper's decisions. A value: no system call, no clock, nothing calls back.
///
/// In:      what one wake-up heard; what was read for it; how far its steps came.
/// Out:     what to read; the steps, in order; what is true now, who is told, when to come again.
/// Threads: one. Time: Heard::now.
/// Errors:  inputs like any other: what failed is the next round's, at once.
///
/// One round: ask, decide, settle; each once, in this order. The first round of a machine begins its start: it
/// adopts the grants that it finds, and enforces the configuration.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <knock/status.hpp>

#include "core/keeper/turns.hpp"

namespace knock::keeper {

class Machine {
 public:
  struct Start {
    std::string config_path;
    ConfigPointer config;
    std::string boot;                ///< id of this boot
    std::vector<ConfigText> texts{}; ///< of the configuration
    std::optional<Failure> error{};  ///< of the files on disk: the configuration is the last good
  };
  explicit Machine(Start start);

  /// Takes in what was heard. Returns what must be read first.
  Ask ask(Heard heard);
  /// Returns what shall be done now; valid until the next round.
  const Steps& decide(const Seen& seen);
  Said settle(const Outcome& outcome);
  /// What is still to be logged at the end.
  std::vector<Line> last_lines();

  /// Whether the start is over.
  [[nodiscard]] bool is_started() const { return state_.settings.started; }
  [[nodiscard]] const Ledger& ledger() const { return state_.ledger; }
  [[nodiscard]] const Config& config() const { return *state_.settings.config; }
  [[nodiscard]] const State& state() const { return state_; }

 private:
  using Turn = std::variant<GrantsTurn, ChangeTurn, HealTurn, UnloadTurn, UsersTurn>;
  void hear(Heard heard);
  void take_requests();
  Turn next_turn();
  [[nodiscard]] bool is_finishing() const { return state_.finishing && !state_.finishing->answered; }
  [[nodiscard]] std::optional<Instant> next() const;

  State state_;
  Turn turn_;
  Steps steps_;
  Said said_;
  bool look_failed_ = false;         // in this round
  std::optional<Instant> look_told_; // when its error was logged
  int failures_ = 0;                 // in a row
};

/// What `knockctl status` needs to be read, and shows: nothing changes by it.
Ask ask_status(const State& state);
Status status_of(const State& state, const Seen& seen, Instant now, std::int64_t wall);

} // namespace knock::keeper
