// SPDX-License-Identifier: GPL-2.0-or-later
/// Attempt word: one attempt of one source in 64 bits, so that one CAS changes all of it.
///
///   17 tag | 16 node (0 = cooling) | 14 first | 13 last - first | 4 strays (15 when cooling);   0 = free
#pragma once

#include <cstdint>

#include <knock/policy.hpp>
#include <knock/ticks.hpp>

namespace knock {

inline constexpr NodeId kCooling = 0;              // no attempt stands at the root
inline constexpr std::uint8_t kCoolingStrays = 15; // keeps the word of tag 0 from being 0

struct Attempt {
  NodeId node = 0;
  Ticks first = 0; ///< of its first step; cooling: since when
  Ticks span = 0;  ///< from the first step to the last
  std::uint8_t strays = 0;
};

constexpr std::uint64_t pack(std::uint32_t tag, const Attempt& attempt) {
  return static_cast<std::uint64_t>(tag) << 47U | static_cast<std::uint64_t>(attempt.node) << 31U |
         static_cast<std::uint64_t>(attempt.first) << 17U | static_cast<std::uint64_t>(attempt.span) << 4U |
         attempt.strays;
}

constexpr std::uint32_t tag_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 47U);
}

constexpr Attempt unpack(std::uint64_t word) {
  return {static_cast<NodeId>(word >> 31U), static_cast<Ticks>(word >> 17U & kTickMask),
          static_cast<Ticks>(word >> 4U & 0x1fffU), static_cast<std::uint8_t>(word & 0xfU)};
}

constexpr Ticks last_tick(const Attempt& attempt) {
  return static_cast<Ticks>((attempt.first + attempt.span) & kTickMask);
}

/// A reached leaf stays until its time is over too, so that late retransmits of its steps are known.
inline bool has_ended(const Policy& policy, const Attempt& attempt, Ticks now) {
  const auto limit = attempt.node == kCooling ? policy.cooloff() : policy.node(attempt.node).within;
  return age(now, attempt.first) > limit;
}

} // namespace knock
