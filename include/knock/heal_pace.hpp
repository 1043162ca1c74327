// SPDX-License-Identifier: GPL-2.0-or-later
/// HealPace: how soon a table that another process changes is put back.
///
/// Memory:  at most kHurried times. Threads: one. Time: passed in.
/// At once while it is calm; of two writers that fight, ours waits a second, then five, and at once again when a
/// minute was calm. A guarded port is never open for longer than that.
#pragma once

#include <algorithm>
#include <deque>

#include <knock/time.hpp>

namespace knock {

class HealPace {
 public:
  static constexpr Millis kMinute{60'000};
  static constexpr std::size_t kCalm = 5;     ///< in a minute, at once
  static constexpr std::size_t kHurried = 20; ///< in a minute; beyond, kLong behind the last
  static constexpr Millis kShort{1'000};
  static constexpr Millis kLong{5'000};

  void take(Instant now) {
    taken_.push_back(now);
    if (taken_.size() > kHurried) taken_.pop_front();
  }
  /// How long behind the last the next may be.
  [[nodiscard]] Millis wait(Instant now) const {
    const auto recent =
        std::count_if(taken_.begin(), taken_.end(), [&](Instant at) { return at + kMinute > now; });
    const auto many = static_cast<std::size_t>(recent);
    return many < kCalm ? Millis{0} : many < kHurried ? kShort : kLong;
  }
  /// When the next may be.
  [[nodiscard]] Instant next(Instant now) const { return taken_.empty() ? now : taken_.back() + wait(now); }

 private:
  std::deque<Instant> taken_;
};

} // namespace knock
