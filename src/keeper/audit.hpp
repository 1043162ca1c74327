// SPDX-License-Identifier: GPL-2.0-or-later
/// Audit: one log line for each grant that opens, is extended, closed, or ends; of very many, sums.
#pragma once

#include <optional>

#include <knock/audit_sum.hpp>

namespace knock::keeper {

class Audit {
 public:
  ~Audit();
  /// `now`: for how long it was open. Requires: not a refusal, which is counted and never logged.
  void say(const LedgerEvent& event, Instant now);
  /// Says what was summed up. Returns when there will be more to say.
  std::optional<Instant> work(Instant now);

 private:
  AuditSum sum_;
};

} // namespace knock::keeper
