// SPDX-License-Identifier: GPL-2.0-or-later
/// Audit: one log line for each grant that opens, is extended, closed, or ends; of very many, sums.
///
/// Threads: one. Time: passed in.
#pragma once

#include <vector>

#include <knock/audit_sum.hpp>

#include "core/keeper/round.hpp"

namespace knock::keeper {

class Audit {
 public:
  /// `now`: for how long it was open. Requires: not a refusal, which is counted and never logged.
  void say(const LedgerEvent& event, Instant now, std::vector<Line>& lines);
  /// Says what was summed up. Returns when there will be more to say.
  std::optional<Instant> sum_up(Instant now, std::vector<Line>& lines);

 private:
  AuditSum sum_;
};

} // namespace knock::keeper
