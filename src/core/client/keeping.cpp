// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/keeping.hpp>

#include <algorithm>

namespace knock {
namespace {

constexpr Millis kLeastBetween{300}; // a door of a second
constexpr Millis kMostBetween{std::chrono::minutes{5}};
constexpr Millis kFirstPatience{1'000};
constexpr Millis kMostPatience{60'000};

} // namespace

Keeping::Keeping(Millis open_for, std::optional<Millis> max) : open_for_(open_for), max_(max) {}

void Keeping::opened(Instant now) {
  opened_ = now;
  patience_ = Millis{0};
  refreshed(now);
}

void Keeping::found_open(Instant now, Millis left) {
  opened(now);
  at_ = std::min(at_, now + std::max(left - open_for_ * 2 / 3, Millis{0}));
}

void Keeping::refreshed(Instant now) {
  at_ = now + std::clamp(open_for_ / 3, kLeastBetween, kMostBetween);
  next_ = Next::refresh;
  if (!max_ || at_ < opened_ + *max_) return;
  // It ends there, whatever is sent before.
  at_ = std::max(opened_ + *max_, now);
  next_ = Next::open;
}

void Keeping::failed(Instant now) {
  patience_ = std::clamp(patience_ * 2, kFirstPatience, kMostPatience);
  at_ = now + patience_;
  next_ = Next::open;
}

void Keeping::moved(Instant now) {
  patience_ = Millis{0};
  at_ = now;
  next_ = Next::open;
}

} // namespace knock
