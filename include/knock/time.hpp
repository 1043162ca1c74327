// SPDX-License-Identifier: GPL-2.0-or-later
/// Instant: CLOCK_MONOTONIC as the pure house sees it. Passed in everywhere, never read here.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace knock {

struct Monotonic {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};

using Instant = Monotonic::time_point;
using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;

/// The end of what has none: a hundred years behind the boot, so that it can be counted with.
inline constexpr Instant kNever{std::chrono::days{36'500}};

/// A date as people write it: seconds of the epoch. No clock is read here.
using Moment = std::chrono::sys_seconds;
/// The same by the clock on the wall, in a zone that its caller knows.
using LocalMoment = std::chrono::local_seconds;

/// The earlier of two moments, each of which may be none.
constexpr std::optional<Instant> sooner(std::optional<Instant> one, std::optional<Instant> other) {
  if (!one || !other) return one ? one : other;
  return std::min(*one, *other);
}

} // namespace knock
