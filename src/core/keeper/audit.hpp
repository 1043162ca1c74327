// SPDX-License-Identifier: GPL-2.0-or-later
/// Audit: one log line for each grant that opens, is extended, closed, or ends; of very many, sums. And what others
/// do to the table again and again: at once, then once a minute.
///
/// Threads: one. Time: passed in.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <knock/audit_sum.hpp>

#include "core/keeper/round.hpp"

namespace knock::keeper {

class Audit {
 public:
  /// `now`: for how long it was open. Requires: not a refusal, which is counted and never logged.
  void say(const LedgerEvent& event, Instant now, std::vector<Line>& lines);
  /// A look put so many elements of another hand right, and lists so many. `by`: whose hand it may have been.
  void strays(std::string by, std::size_t right, std::size_t listed) {
    by_ = std::move(by);
    right_ += right;
    listed_ += listed;
  }
  /// What the admin's table lacks now.
  void faults(std::vector<TableFault> found) { faults_ = std::move(found); }
  /// Says what was summed up. Returns when there will be more to say.
  std::optional<Instant> sum_up(Instant now, std::vector<Line>& lines);

 private:
  static constexpr Millis kAgain{60'000};

  AuditSum sum_;
  std::string by_;
  std::size_t right_ = 0, listed_ = 0;
  std::vector<TableFault> faults_, told_faults_;
  Instant strays_from_{}, faults_from_{}; // when a line may be written again
};

} // namespace knock::keeper
