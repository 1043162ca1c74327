// SPDX-License-Identifier: GPL-2.0-or-later
/// HealBudget: how often a table that another process removes is put back, before we stop fighting it.
///
/// Threads: one. Time: passed in.
#pragma once

#include <deque>
#include <optional>

#include <knock/time.hpp>

namespace knock {

class HealBudget {
 public:
  static constexpr std::size_t kMost = 10; // in a minute, then a minute's pause
  static constexpr Millis kMinute{60'000};

  /// Takes one, if there is one.
  bool take(Instant now) {
    if (paused_until(now)) return false;
    while (!taken_.empty() && taken_.front() + kMinute <= now) taken_.pop_front();
    taken_.push_back(now);
    if (taken_.size() < kMost) return true;
    pause_ = now + kMinute;
    taken_.clear();
    return true;
  }
  /// Nothing when there is one to take.
  [[nodiscard]] std::optional<Instant> paused_until(Instant now) const {
    return pause_ > now ? std::optional(pause_) : std::nullopt;
  }

 private:
  std::deque<Instant> taken_;
  Instant pause_{};
};

} // namespace knock
