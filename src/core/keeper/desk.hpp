// SPDX-License-Identifier: GPL-2.0-or-later
/// Desk: what knockctl asks for, and what it is answered.
///
/// In:      requests, with what their senders may do.   Out: work for a round, and one answer for each ticket.
/// Threads: one. Time: passed in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/keeper/knocks.hpp"
#include "core/keeper/memory.hpp"
#include "core/keeper/reload.hpp"
#include "core/keeper/round.hpp"

namespace knock::keeper {

/// What changes the rules: it has a round of its own.
struct RuleChange {
  enum class Verb : std::uint8_t { start, reload, confirm, off, on, users };
  Verb verb = Verb::start;
  std::uint64_t ticket = 0;
  ReloadOptions options{};
  bool anyway = false; ///< confirm
};

/// What a request is judged by.
struct DeskView {
  const Config& config;
  const Memory& memory;
  const Knocks& knocks;
  Instant now;
  Clocks clocks{};
};
/// An answer that changed nothing, and is not logged.
struct Plain {
  Reply reply;
};
/// The admin says that the clock is right.
struct AcceptClock {};
/// What becomes of a request: an answer, or work.
using Taken = std::variant<Reply, Plain, Opening, Closing, RuleChange, AcceptClock>;
Taken take(const Asked& asked, const DeskView& view);

Reply refusal(ExitCode exit, std::string code, std::string text, std::string advice = {});
Reply refusal(const Error& error);
Reply told(const std::vector<std::string>& texts);
/// What a hand is told of its opening, as the ledger sees it.
Reply opening_reply(const LedgerEvent& event, const Door& door, const Address& source, Instant now);

/// Those who wait for an answer.
class Desk {
 public:
  void wait(const Asked& asked) { callers_[asked.ticket] = asked; }
  /// Part of the answer is known; the rest comes with Ran, when the runner took the command `what` or not.
  void keep(std::uint64_t ticket, Reply reply, std::string what) {
    kept_[ticket] = {std::move(reply), std::move(what)};
  }
  void hear(const Ran& ran, Said& said);
  /// Answers, and says who made which change.
  void answer(std::uint64_t ticket, Reply reply, Said& said);
  /// The same, of what changed nothing.
  void answer_plainly(std::uint64_t ticket, Reply reply, Said& said);

 private:
  struct Kept {
    Reply reply;
    std::string what;
  };
  std::map<std::uint64_t, Asked> callers_;
  std::map<std::uint64_t, Kept> kept_;
};

} // namespace knock::keeper
