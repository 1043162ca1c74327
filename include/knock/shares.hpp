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

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
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

/// Of what is limited, how much each door has; or how much more it has by a plan.
class Totals {
 public:
  struct Amount {
    std::ptrdiff_t grants = 0;
    std::ptrdiff_t elements = 0;
    std::ptrdiff_t ranges = 0;
    bool operator==(const Amount&) const = default;
  };
  /// `sign`: -1 for one that goes.
  void count(const OpenGrant& grant, std::ptrdiff_t sign);
  [[nodiscard]] Amount of(std::string_view door) const;
  [[nodiscard]] std::ptrdiff_t grants() const { return grants_; }
  [[nodiscard]] std::ptrdiff_t ranges() const { return ranges_; }

 private:
  std::map<std::string, Amount, std::less<>> doors_;
  std::ptrdiff_t grants_ = 0; // of all doors
  std::ptrdiff_t ranges_ = 0;
};

class Shares {
 public:
  using Unused = std::function<bool(std::uint64_t id)>;

  explicit Shares(LedgerLimits limits) : limits_(limits) {}
  void set_limits(LedgerLimits limits) { limits_ = limits; }
  void add(const OpenGrant& grant, bool unused);
  void remove(const OpenGrant& grant);
  /// At most `most` unused grants of a door, the oldest first. Those that are used by now are
  /// forgotten, so each is passed over once.
  std::vector<std::uint64_t> oldest(std::string_view door, std::size_t most, const Unused& unused);
  [[nodiscard]] const LedgerLimits& limits() const { return limits_; }
  [[nodiscard]] const Totals& totals() const { return totals_; }

 private:
  LedgerLimits limits_;
  Totals totals_;
  std::set<std::tuple<std::string, Instant, std::uint64_t>> unused_; // by door, and by when they opened
};

/// What is left of the limits while a plan is made: the plan's own grants count, too.
class Room {
 public:
  explicit Room(const Shares& shares) : shares_(shares) {}

  void take(const OpenGrant& grant) { more_.count(grant, 1); }
  void give_back(const OpenGrant& grant) { more_.count(grant, -1); }
  /// Which limit forbids `more` grants like this: "door_grants", "grants", "ranges"; empty: none.
  /// A door takes at most half of a set's places, so one of many ports leaves room for the others.
  [[nodiscard]] std::string_view lacking(const GrantRequest& request, std::size_t more = 1) const;

 private:
  const Shares& shares_;
  Totals more_;
};

} // namespace knock
