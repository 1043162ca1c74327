// SPDX-License-Identifier: GPL-2.0-or-later
/// Keeping: when a door that is kept open needs another packet: a refresh, or to be opened anew.
///
/// In:     what was sent and what came of it, with times.   Out: what is next, and when.
/// Time:   of a clock that runs on while the machine sleeps (CLOCK_BOOTTIME).
#pragma once

#include <cstdint>
#include <optional>

#include <knock/time.hpp>

namespace knock {

class Keeping {
 public:
  enum class Next : std::uint8_t { refresh, open };

  /// `open_for`: how long the router leaves it open; `max`: what no refresh takes it beyond.
  Keeping(Millis open_for, std::optional<Millis> max);

  void opened(Instant now);
  /// The same, by another, and it stays open for `left` from now: the next refresh comes as early as behind an own packet.
  void found_open(Instant now, Millis left);
  void refreshed(Instant now);
  /// It did not open. It is tried again behind 1, 2, 4 ... 60 s.
  void failed(Instant now);
  /// Another address, or the machine slept: what is open may be of no use.
  void moved(Instant now);

  [[nodiscard]] Instant at() const { return at_; }
  [[nodiscard]] Next next() const { return next_; }

 private:
  Millis open_for_;
  std::optional<Millis> max_;
  Instant opened_{}, at_{};
  Next next_ = Next::open;
  Millis patience_{0};
};

} // namespace knock
