// SPDX-License-Identifier: GPL-2.0-or-later
/// Batch: what shall change in the kernel's grant sets, as a value.
///
/// Out of the ledger, into `wire::encode`, and committed whole or not at all. An element of a `forward` map
/// ends a little later than the one that opens its port.
#pragma once

#include <array>
#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include <knock/address.hpp>
#include <knock/port.hpp>
#include <knock/time.hpp>

namespace knock {

/// The sets that hold grants, one a family each (nft-templates/README.md): open4, net6, uses4, forward6 ...
enum class GrantSet : std::uint8_t {
  open,    ///< an address
  net,     ///< a prefix: an IPv4 /24, an IPv6 /64
  uses,    ///< an address, for so many connections: the kernel counts them in the element
  session, ///< one connection that is older than the guard: address, its port, our port
  forward, ///< an address, and where its packets go: a map
  range,   ///< an address, for ports in a row: an interval, and no two of a source overlap
};

/// "open4", "net6" ...
std::string_view set_name(GrantSet set, Family family);
inline constexpr std::array kGrantSets{GrantSet::open,    GrantSet::net,     GrantSet::uses,
                                       GrantSet::session, GrantSet::forward, GrantSet::range};

/// The key of one element.
struct GrantKey {
  Address source; ///< net: the first address of the prefix
  Port port;
  GrantSet set = GrantSet::open;
  std::uint16_t source_port = 0; ///< session only, which is TCP alone
  std::uint16_t last = 0;        ///< range only: `port` is the first
  auto operator<=>(const GrantKey&) const = default;
};

/// Of a key of `range`.
constexpr PortRange range_of(const GrantKey& key) {
  return {key.port, {key.port.protocol, key.last}};
}

/// What an element let through so far.
struct Traffic {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Traffic&) const = default;
};

/// Put makes the element exist with just this timeout and comment, whether it was there or not;
/// remove makes it absent, whether it was there or not.
struct Change {
  enum class Kind : std::uint8_t { put, remove };
  Kind kind = Kind::put;
  GrantKey key{};
  Millis timeout{0};      ///< put only, at least 1 ms
  std::string comment{};  ///< put only, at most 128 characters (nft's limit)
  Traffic traffic{};      ///< put only: where its counter goes on; of uses it begins anew, forward has none
  std::uint32_t uses = 0; ///< put only, uses only: connections it lets in from now on, at least 1
  Target target{};        ///< forward only
  Target held{};          ///< forward only: where an element that may be there leads
  bool operator==(const Change&) const = default;
};

using Batch = std::vector<Change>;

/// What is done to some elements of one set.
struct BatchPart {
  enum class Act : std::uint8_t { hold, remove, put };
  GrantSet set{};
  Family family{};
  Act act = Act::put; ///< hold: add the element where it may be, a map's as it may be held, without a timeout
  std::vector<const Change*> changes{}; ///< of the batch, in its order
  bool begins = true;                   ///< the first part of a chunk of changes
  bool removes = false;                 ///< the chunk has removals
};
/// A batch as add, delete, add (or add, delete) of at most `most` changes of a set at once: an upsert on every
/// kernel, in a full set and over an element that ended but is not collected yet. Linux before 6.12 cannot
/// update an element in place. The first add of a map element leads where the old one does: another target
/// would be refused (EEXIST). With `removals_there` what is removed has to exist (else ENOENT): half the work
/// for the kernel. A range is refused (EEXIST) beside one of its source that it overlaps: of ranges the removals come
/// first, by themselves. Valid as long as the batch.
std::vector<BatchPart> parts_of(const Batch& batch, std::size_t most, bool removals_there = false);

/// A change that the kernel did not take.
struct Refused {
  std::size_t at = 0; ///< in the batch
  int code = 0;       ///< errno
  bool operator==(const Refused&) const = default;
};

/// One element as the kernel holds it.
struct Element {
  static constexpr Millis kEndless = Millis::max(); ///< the kernel never drops it: another put it so

  GrantKey key{};
  Millis left{0}; ///< until the kernel drops it
  std::string comment{};
  Traffic traffic{};
  Target target{}; ///< forward only
};

} // namespace knock
