// SPDX-License-Identifier: GPL-2.0-or-later
/// Names: the addresses of a router, and what this network translates them from.
///
/// Source: getaddrinfo(3), RFC 7050. Asked in a thread of its own, since a resolver answers late, or never.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <knock/address.hpp>
#include <knock/client_line.hpp>

namespace knock::client {

inline constexpr std::size_t kMostAddresses = 8; // of one router

struct Resolved {
  std::vector<Address> addresses; ///< each once, of the families wanted
  std::string reason;             ///< why there is no address
};
/// Of all `hosts`, within the timeout, or until `stop` says so. An address needs no question.
Resolved resolve(const std::vector<std::string>& hosts, const ClientLine& given,
                 const std::function<bool()>& stop = {});

/// What this network translates addresses of IPv4 into; half a second of waiting at most.
std::vector<Prefix> nat64_prefixes();

} // namespace knock::client
