// SPDX-License-Identifier: GPL-2.0-or-later
/// AuditSum: which events get a log line of their own, and what is said of the rest.
///
/// In:      events, as they are to be logged.   Out: after each second one sum a door.
/// Memory:  one entry a door that something happened at in this second.
/// Threads: one. Time: passed in.
///
/// Grants of strangers who know a knock are as many as they forge sources: a line each would fill the disk.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <knock/plan.hpp>

namespace knock {

class AuditSum {
 public:
  struct Sum {
    std::string door;
    std::uint32_t open = 0, extend = 0, expire = 0, close = 0;
  };

  /// Whether it gets a line; else it is counted. One with a name in `by`, and one by hand, always does.
  /// Requires: not a refusal. `due` first.
  bool own_line(const LedgerEvent& event, Instant now);
  /// The sums of a second that is over.
  std::vector<Sum> due(Instant now);
  /// When there will be one.
  [[nodiscard]] std::optional<Instant> next() const;

 private:
  struct OfDoor {
    std::uint32_t lines = 0;
    Sum sum;
  };
  std::map<std::string, OfDoor, std::less<>> doors_; // of this second
  Instant begun_{};
  std::uint32_t lines_ = 0;
  bool summed_ = false;
};

/// "summed door=guest open=4312 extend=0 expire=3120 close=12 seconds=1"
std::string to_string(const AuditSum::Sum& sum);

} // namespace knock
