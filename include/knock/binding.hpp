// SPDX-License-Identifier: GPL-2.0-or-later
/// Binding: whether a signed packet names the source that it must come from, decided by addresses alone.
///
/// A bound packet is of no use to one who sees it and sends it from elsewhere. Behind address translation the router
/// sees another source, so there a packet cannot be bound to the address of this machine.
/// Source: IANA's special-purpose address registries (RFC 6890), RFC 6052 and RFC 7050 (NAT64).
#pragma once

#include <optional>
#include <span>

#include <knock/address.hpp>
#include <knock/kn1.hpp>
#include <knock/profile.hpp>

namespace knock {

/// Whether the whole Internet may reach it as it stands. False for private, shared, link-local, documentation,
/// benchmarking, translated (192.0.0.0/24, 64:ff9b::/96, 2002::/16) and reserved addresses.
bool is_global(const Address& address);

/// The prefix that a network translates from, if `answer`, of a question for ipv4only.arpa, holds 192.0.0.170 or .171.
std::optional<Prefix> nat64_prefix(const Address& answer);

struct Binding {
  kn1::Flag flag = kn1::Flag::unbound;
  std::optional<Address> source; ///< absent: unbound
};
/// For a packet from `local` to `router`. `nat64`: what this network translates from, beside 64:ff9b::/96.
/// Returns nothing where it would have to be unbound, and the router takes none of this device (require_source).
std::optional<Binding> binding_of(const Profile& profile, const Address& local, const Address& router,
                                  std::span<const Prefix> nat64);

} // namespace knock
