// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/shares.hpp>

#include <iterator>

#include <knock/limits.hpp>

namespace knock {

bool is_limited(Via via) {
  return via != Via::session;
}

bool is_anonymous(const OpenGrant& grant) {
  return grant.via == Via::knock && grant.by == "-";
}

void Totals::count(const OpenGrant& grant, std::ptrdiff_t sign) {
  if (!is_limited(grant.via)) return;
  auto& amount = doors_[grant.door];
  amount.grants += sign;
  amount.elements += sign * std::ssize(grant.ports);
  amount.ranges += sign * std::ssize(grant.ranges);
  grants_ += sign;
  ranges_ += sign * std::ssize(grant.ranges);
  if (amount == Amount{}) doors_.erase(grant.door);
}

Totals::Amount Totals::of(std::string_view name) const {
  const auto door = doors_.find(name);
  return door == doors_.end() ? Amount{} : door->second;
}

void Shares::add(const OpenGrant& grant, bool unused) {
  totals_.count(grant, 1);
  if (unused && is_anonymous(grant)) unused_.insert({grant.door, grant.opened, grant.id});
}

void Shares::remove(const OpenGrant& grant) {
  totals_.count(grant, -1);
  unused_.erase({grant.door, grant.opened, grant.id});
}

std::vector<std::uint64_t> Shares::oldest(std::string_view door, std::size_t most, const Unused& unused) {
  std::vector<std::uint64_t> ids;
  for (auto it = unused_.lower_bound({std::string{door}, Instant::min(), 0});
       it != unused_.end() && std::get<0>(*it) == door && ids.size() < most;) {
    const auto id = std::get<2>(*it);
    const bool is_spare = unused(id);
    if (is_spare) ids.push_back(id);
    it = is_spare ? std::next(it) : unused_.erase(it);
  }
  return ids;
}

std::string_view Room::lacking(const GrantRequest& request, std::size_t count) const {
  if (!is_limited(request.via)) return {};
  const auto more = static_cast<std::int64_t>(count);
  const std::int64_t limit{shares_.limits().grants};
  const auto before = shares_.totals().of(request.door), added = more_.of(request.door);
  const auto elements = before.elements + added.elements;
  if (before.grants + added.grants + more > request.share) return "door_grants";
  if (elements != 0 && elements + more * std::ssize(request.ports) > limit) return "door_grants";
  if (const auto ranges = more * std::ssize(request.ranges); ranges != 0) {
    constexpr std::ptrdiff_t kMost = kMaxRanges;
    const auto own = before.ranges + added.ranges;
    if (own != 0 && own + ranges > kMost / 2) return "door_grants";
    if (shares_.totals().ranges() + more_.ranges() + ranges > kMost) return "ranges";
  }
  return shares_.totals().grants() + more_.grants() + more > limit ? "grants" : "";
}

} // namespace knock
