// SPDX-License-Identifier: GPL-2.0-or-later
/// Ticks: the attempt word's clock, 16 ms a tick on a circle of 262 s.
///
/// Limits are rounded towards the honest: what took at most floor(limit / tick) ticks is in time, so that a
/// limit is never cut short and never longer by more than one tick.
#pragma once

#include <cstdint>

#include <knock/time.hpp>

namespace knock {

using Ticks = std::uint16_t;

inline constexpr Millis kTick{16};
inline constexpr unsigned kTickBits = 14; // the circle: 16,384 ticks = 262 s
inline constexpr Ticks kTickMask = (1U << kTickBits) - 1;
inline constexpr Ticks kClockSkew = 64; // ticks another worker's clock may be ahead of ours

constexpr Ticks tick_of(Instant at) {
  return static_cast<Ticks>(static_cast<std::uint64_t>(at.time_since_epoch() / kTick) & kTickMask);
}

/// A limit of at most 120 s.
constexpr Ticks ticks_in(Millis limit) {
  return static_cast<Ticks>(limit / kTick);
}

/// Ticks from `then` to `now` on the circle. Another worker may have written a moment that is still to come.
constexpr Ticks age(Ticks now, Ticks then) {
  const auto ticks = static_cast<Ticks>((now - then) & kTickMask);
  return ticks > kTickMask - kClockSkew ? Ticks{0} : ticks;
}

} // namespace knock
