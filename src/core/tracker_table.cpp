// SPDX-License-Identifier: GPL-2.0-or-later
// The tracker's table as a whole: what has ended, how much lives, and where attempts go with a new policy.
#include <algorithm>

#include <knock/tracker.hpp>

#include "attempt_word.hpp"

namespace knock {

std::size_t Tracker::sweep(const Policy& policy, Instant now, std::size_t from, std::size_t count) noexcept {
  const auto tick = tick_of(now);
  std::size_t live = 0;
  for (std::size_t at = from; at < std::min(from + count, size()); ++at) {
    auto& word = buckets_[at / kBucket].words[at % kBucket];
    auto value = word.load(std::memory_order_acquire);
    if (value == 0) continue;
    if (!has_ended(policy, unpack(value), tick) ||
        !word.compare_exchange_strong(value, 0, std::memory_order_acq_rel, std::memory_order_acquire))
      ++live;
  }
  return live;
}

std::size_t Tracker::attempts(const Policy& policy, Instant now) const noexcept {
  const auto tick = tick_of(now);
  std::size_t live = 0;
  for (std::size_t at = 0; at < size(); ++at) {
    const auto value = buckets_[at / kBucket].words[at % kBucket].load(std::memory_order_relaxed);
    if (value == 0) continue;
    const auto attempt = unpack(value);
    if (attempt.node != kCooling && !policy.node(attempt.node).leaf && !has_ended(policy, attempt, tick))
      ++live;
  }
  return live;
}

void Tracker::carry_over(std::span<const NodeId> map) noexcept {
  for (std::size_t at = 0; at < size(); ++at) {
    auto& word = buckets_[at / kBucket].words[at % kBucket];
    const auto value = word.load(std::memory_order_relaxed);
    if (value == 0) continue;
    auto attempt = unpack(value);
    if (attempt.node == kCooling) continue;
    attempt.node = map[attempt.node];
    // No step runs meanwhile, and who resumes stepping synchronizes with us: relaxed.
    word.store(attempt.node == 0 ? 0 : pack(tag_of(value), attempt), std::memory_order_relaxed);
  }
}

} // namespace knock
