// SPDX-License-Identifier: GPL-2.0-or-later
/// Ends: what ends grants before their time, or pushes their end on: no packet for a while, their last
/// connection, their last use.
///
/// In:      events of connections, counters as they were read.   Out: what to read, and plans.
/// Threads: one. Time: passed in.
/// What the kernel refused is due again a second later.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include <knock/ledger.hpp>

#include "core/keeper/draft.hpp"
#include "core/keeper/flows.hpp"
#include "core/keeper/round.hpp"

namespace knock::keeper {

class Ends {
 public:
  /// Takes in what was heard, and asks for what must be read now.
  void hear(Ledger& ledger, const Heard& heard);
  /// `listening`: events of connections are heard; before, a look would miss what comes behind it.
  void ask(Ledger& ledger, bool listening, Instant now, Ask& ask);
  /// Of that, what must be known before a table that is gone comes back: a spent use must not.
  void ask_uses(Ask& ask) const { ask.add(uses_begun_); }
  void count_uses(Ledger& ledger, const Seen& seen, Instant now);
  /// Takes in what was read of connections and uses; also while nothing can be changed, for it is not asked again
  /// soon. Requires: the counters that were read are noted in the ledger.
  void look(Ledger& ledger, const Seen& seen, Instant now);
  void plan(Ledger& ledger, const Seen& seen, Instant now, Draft& draft);
  /// Whether the kernel took the plans.
  void settle(const Ledger& ledger, bool taken, Instant now);

  /// Connections that are there are to be taken over: after a start.
  void look_at_flows() { look_at_flows_ = true; }
  [[nodiscard]] bool wants_flows() const { return look_at_flows_; }
  /// Connections are no longer heard of.
  void forget_flows(Ledger& ledger);
  [[nodiscard]] std::optional<Instant> next(const Ledger& ledger) const;

 private:
  void take_in(Ledger& ledger, const std::vector<FlowNews>& news, Instant now);

  struct Timers {
    Instant looked_until{};         // counters of what ends by then are known
    std::optional<Instant> idle;    // look at the counters of on-idle grants
    std::optional<Instant> lease;   // push on grants with connections
    std::optional<Instant> session; // look for connections that are older than the guard
    std::optional<Instant> again;   // until then the kernel is left in peace
  };
  struct Due {
    bool idle = false, lease = false;
  };

  Flows flows_;
  bool look_at_flows_ = false;
  Timers timers_;
  Due due_;
  std::vector<GrantKey> uses_begun_; // elements that may have let in a connection
  std::vector<Flow> answered_;       // connections, behind the count of their uses
  std::set<std::uint64_t> touched_;  // grants whose connections changed
  std::vector<std::uint64_t> asked_; // of these, the ones whose counters are read in this round
  std::set<GrantKey> outlived_;      // elements with the uses of a grant that ended
};

} // namespace knock::keeper
