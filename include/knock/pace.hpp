// SPDX-License-Identifier: GPL-2.0-or-later
/// Pace: how fast grants may be asked for: at each door its share a second, at all of them `[limits] grants`.
///
/// In:      a door and its share.   Out: whether one more may be asked for now.
/// Memory:  one moment a door.
/// Threads: one. Time: passed in.
///
/// An engine that fell to a stranger, or a flood of whole knocks, costs the keeper so much a second and no
/// more; a flood at one door leaves the others theirs.
#pragma once

#include <algorithm>
#include <optional>
#include <unordered_map>

#include <knock/door_id.hpp>
#include <knock/limits.hpp>

namespace knock {

class Pace {
 public:
  static constexpr Millis kShown{10'000}; // how long a refusal is news

  explicit Pace(std::uint32_t all) : all_rate_(all) {}

  /// Takes one, if there is one.
  bool take(DoorId door, std::uint32_t share, Instant now) {
    auto& own = doors_[static_cast<std::uint64_t>(door)];
    if (const auto next = after(own, share, now))
      if (const auto all = after(all_, all_rate_, now)) {
        own = *next;
        all_ = *all;
        return true;
      }
    refused_ = {door, now};
    return false;
  }
  /// The door that was last refused one, for as long as that is news.
  [[nodiscard]] std::optional<DoorId> exceeded(Instant now) const {
    return refused_ && refused_->at + kShown > now ? std::optional(refused_->door) : std::nullopt;
  }

 private:
  struct Refusal {
    DoorId door;
    Instant at;
  };

  /// A token bucket that holds the tokens of a second, as the moment when it will be full again.
  static std::optional<Instant> after(Instant full, std::uint32_t rate, Instant now) {
    rate = std::max(rate, kLeastPace);
    const auto token = Instant::duration{Seconds{1}} / rate;
    full = std::max(full, now) + token;
    return full - now <= token * rate ? std::optional(full) : std::nullopt;
  }

  std::uint32_t all_rate_;
  Instant all_{};
  std::unordered_map<std::uint64_t, Instant> doors_; // by id
  std::optional<Refusal> refused_;
};

} // namespace knock
