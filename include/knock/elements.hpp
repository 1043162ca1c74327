// SPDX-License-Identifier: GPL-2.0-or-later
/// Elements: what we believe the kernel holds: elements of the grant sets by key, with what each has let through,
/// and the connections that live.
///
/// Memory:  one entry an element, and one a source and port with a connection.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include <knock/open_grant.hpp>

namespace knock {

struct HeldElement {
  Traffic traffic{};
  Target target{};
  bool unread = false; ///< put anew while its counter could not be read: it may have counted more
};
using Elements = std::map<GrantKey, HeldElement>;
/// How many, by who and whereto.
using Connections = std::map<std::pair<Address, Port>, std::uint32_t>;

/// Null: there is none.
const HeldElement* held(const Elements& elements, const GrantKey& key);
Traffic counted(const Elements& elements, const GrantKey& key);
/// Whether the element counts all that its client sent; the sum of those that do.
bool counts(const GrantKey& key);
Traffic traffic(const Elements& elements, const OpenGrant& grant);
/// Nothing came through it, as far as was looked.
bool is_unused(const Elements& elements, const OpenGrant& grant);
/// Whether one of them is to a port of the grant, from where it lets in.
bool is_connected(const Connections& connections, const OpenGrant& grant);

} // namespace knock
