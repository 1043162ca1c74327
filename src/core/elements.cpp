// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/elements.hpp>

#include <algorithm>

namespace knock {

bool counts(const GrantKey& key) {
  return key.set == GrantSet::open || key.set == GrantSet::net || key.set == GrantSet::range;
}

const HeldElement* held(const Elements& elements, const GrantKey& key) {
  const auto it = elements.find(key);
  return it == elements.end() ? nullptr : &it->second;
}

Traffic counted(const Elements& elements, const GrantKey& key) {
  const auto* element = held(elements, key);
  return element == nullptr ? Traffic{} : element->traffic;
}

Traffic traffic(const Elements& elements, const OpenGrant& grant) {
  Traffic sum;
  for (const auto& key : keys_of(grant)) {
    if (!counts(key)) continue;
    const auto one = counted(elements, key);
    sum.packets += one.packets;
    sum.bytes += one.bytes;
  }
  return sum;
}

bool is_unused(const Elements& elements, const OpenGrant& grant) {
  const auto keys = keys_of(grant);
  return !grant.used && std::all_of(keys.begin(), keys.end(), [&](const GrantKey& key) {
    const auto* element = held(elements, key);
    return element == nullptr || (element->traffic == Traffic{} && !element->unread);
  });
}

bool is_connected(const Connections& connections, const OpenGrant& grant) {
  for (auto it = connections.lower_bound({grant.source, {}});
       it != connections.end() && lets_in(grant, it->first.first); ++it)
    if (holds(grant, it->first.second)) return true;
  return false;
}

} // namespace knock
