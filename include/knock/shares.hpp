// SPDX-License-Identifier: GPL-2.0-or-later
/// Shares: what each door takes of `[limits] grants`, and which of its grants no packet has used yet.
///
/// In:      grants as they open and go.   Out: how many there are, and the oldest unused ones of a door.
/// Memory:  one entry a door with open grants, and one a grant that may be given up.
/// Threads: one.
///
/// Who knows the knock of one door can open it from any number of forged sources. So a door has a share, and
/// at its limit it gives up its own oldest grant without a packet: the other doors have theirs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <knock/open_grant.hpp>

namespace knock {

struct LedgerLimits {
  std::uint32_t grants = 65'536;
  std::uint32_t per_source = 16; ///< IPv6: of one /64
};

/// Whether it counts to limits. A connection that was there before the gate does not.
bool is_limited(Via via);
/// Opened by a knock without a name: given up for another one as long as no packet has used it.
bool is_anonymous(const OpenGrant& grant);

class Shares {
 public:
  struct Taken {
    std::size_t grants = 0;
    std::size_t elements = 0;
  };
  using Unused = std::function<bool(std::uint64_t id)>;

  void add(const OpenGrant& grant, bool unused);
  void remove(const OpenGrant& grant);
  /// At most `most` unused grants of a door, the oldest first. Those that are used by now are
  /// forgotten, so each is passed over once.
  std::vector<std::uint64_t> oldest(std::string_view door, std::size_t most, const Unused& unused);
  [[nodiscard]] Taken of(std::string_view door) const;
  [[nodiscard]] Taken all() const { return all_; }

 private:
  struct OfDoor {
    Taken taken;
    std::set<std::pair<Instant, std::uint64_t>> unused; // by when they opened
  };
  std::map<std::string, OfDoor, std::less<>> doors_;
  Taken all_;
};

/// What is left of the limits while a plan is made: the plan's own grants count, too.
class Room {
 public:
  Room(const Shares& shares, LedgerLimits limits) : shares_(shares), limits_(limits) {}

  void take(const OpenGrant& grant);
  void give_back(const OpenGrant& grant);
  /// Which limit forbids `more` grants like this: "door_grants", "grants"; empty: none.
  /// A door takes at most half of a set's places, so one of many ports leaves room for the others.
  [[nodiscard]] std::string_view lacking(const GrantRequest& request, std::size_t more = 1) const;

 private:
  struct Change {
    std::ptrdiff_t grants = 0;
    std::ptrdiff_t elements = 0;
  };
  void change(const OpenGrant& grant, std::ptrdiff_t sign);

  const Shares& shares_;
  LedgerLimits limits_;
  std::map<std::string, Change, std::less<>> changes_; // by door
  std::ptrdiff_t all_ = 0;
};

} // namespace knock
