// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/shares.hpp>

namespace knock {

bool is_limited(Via via) {
  return via != Via::session;
}

bool is_anonymous(const OpenGrant& grant) {
  return grant.via == Via::knock && grant.by == "-";
}

void Shares::add(const OpenGrant& grant, bool unused) {
  if (!is_limited(grant.via)) return;
  auto& door = doors_[grant.door];
  for (auto* taken : {&door.taken, &all_}) {
    ++taken->grants;
    taken->elements += grant.ports.size();
  }
  if (unused && is_anonymous(grant)) door.unused.insert({grant.opened, grant.id});
}

void Shares::remove(const OpenGrant& grant) {
  const auto door = doors_.find(grant.door);
  if (!is_limited(grant.via) || door == doors_.end()) return;
  for (auto* taken : {&door->second.taken, &all_}) {
    --taken->grants;
    taken->elements -= grant.ports.size();
  }
  door->second.unused.erase({grant.opened, grant.id});
  if (door->second.taken.grants == 0) doors_.erase(door);
}

std::vector<std::uint64_t> Shares::oldest(std::string_view name, std::size_t most, const Unused& unused) {
  std::vector<std::uint64_t> ids;
  const auto door = doors_.find(name);
  if (door == doors_.end()) return ids;
  auto& candidates = door->second.unused;
  for (auto it = candidates.begin(); it != candidates.end() && ids.size() < most;) {
    if (unused(it->second))
      ids.push_back((it++)->second);
    else
      it = candidates.erase(it);
  }
  return ids;
}

Shares::Taken Shares::of(std::string_view name) const {
  const auto door = doors_.find(name);
  return door == doors_.end() ? Taken{} : door->second.taken;
}

void Room::take(const OpenGrant& grant) {
  change(grant, 1);
}

void Room::give_back(const OpenGrant& grant) {
  change(grant, -1);
}

void Room::change(const OpenGrant& grant, std::ptrdiff_t sign) {
  if (!is_limited(grant.via)) return;
  auto& door = changes_[grant.door];
  door.grants += sign;
  door.elements += sign * static_cast<std::ptrdiff_t>(grant.ports.size());
  all_ += sign;
}

std::string_view Room::lacking(const GrantRequest& request, std::size_t more) const {
  if (!is_limited(request.via)) return {};
  const auto changed = changes_.find(request.door);
  const auto change = changed == changes_.end() ? Change{} : changed->second;
  const auto plus = [](std::size_t count, std::ptrdiff_t by) {
    return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(count) + by);
  };
  const auto taken = shares_.of(request.door);
  const auto grants = plus(taken.grants, change.grants);
  const auto elements = plus(taken.elements, change.elements);
  if (grants + more > request.share) return "door_grants";
  if (elements != 0 && elements + more * request.ports.size() > limits_.grants) return "door_grants";
  return plus(shares_.all().grants, all_) + more > limits_.grants ? "grants" : "";
}

} // namespace knock
