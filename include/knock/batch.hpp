// SPDX-License-Identifier: GPL-2.0-or-later
/// Batch: what shall change in the kernel's grant sets, as a value.
///
/// Out of the ledger, into `wire::encode`, and committed whole or not at all.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include <knock/address.hpp>
#include <knock/port.hpp>
#include <knock/time.hpp>

namespace knock {

/// The key of one element of open4 or open6.
struct GrantKey {
  Address source;
  Port port;
  auto operator<=>(const GrantKey&) const = default;
};

/// Put makes the element exist with just this timeout and comment, whether it was there or not;
/// remove makes it absent, whether it was there or not.
struct Change {
  enum class Kind : std::uint8_t { put, remove };
  Kind kind = Kind::put;
  GrantKey key;
  Millis timeout{0};   ///< put only, at least 1 ms
  std::string comment; ///< put only, at most 128 characters (nft's limit)
  bool operator==(const Change&) const = default;
};

using Batch = std::vector<Change>;

/// One element as the kernel holds it.
struct Element {
  GrantKey key;
  Millis left{0}; ///< until the kernel drops it
  std::string comment;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

} // namespace knock
