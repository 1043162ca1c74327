// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/shares.hpp>

#include <iterator>

namespace knock {

bool is_limited(Via via) {
  return via != Via::session;
}

bool is_anonymous(const OpenGrant& grant) {
  return grant.via == Via::knock && grant.by == "-";
}

void Taken::count(const OpenGrant& grant, std::ptrdiff_t sign) {
  if (!is_limited(grant.via)) return;
  auto& amount = doors_[grant.door];
  amount.grants += sign;
  amount.elements += sign * std::ssize(grant.ports);
  grants_ += sign;
  if (amount == Amount{}) doors_.erase(grant.door);
}

Taken::Amount Taken::of(std::string_view name) const {
  const auto door = doors_.find(name);
  return door == doors_.end() ? Amount{} : door->second;
}

void Shares::add(const OpenGrant& grant, bool unused) {
  taken_.count(grant, 1);
  if (unused && is_anonymous(grant)) unused_.insert({grant.door, grant.opened, grant.id});
}

void Shares::remove(const OpenGrant& grant) {
  taken_.count(grant, -1);
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
  const auto more = static_cast<std::ptrdiff_t>(count);
  const std::ptrdiff_t limit{shares_.limits().grants};
  const auto before = shares_.taken().of(request.door), added = more_.of(request.door);
  const auto elements = before.elements + added.elements;
  if (before.grants + added.grants + more > request.share) return "door_grants";
  if (elements != 0 && elements + more * std::ssize(request.ports) > limit) return "door_grants";
  return shares_.taken().grants() + more_.grants() + more > limit ? "grants" : "";
}

} // namespace knock
