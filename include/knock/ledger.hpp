// SPDX-License-Identifier: GPL-2.0-or-later
/// Ledger: every open grant with owner, cause and end. The kernel's set is the state; this is what it means.
///
/// In:      requests (a door's ports for a source), closes, what the kernel held at start.
/// Out:     a Plan: the kernel changes to commit and what is true once they are acked.
/// Memory:  one entry a grant, bounded by `[limits] grants`.
/// Threads: one.
/// Time:    passed in.
///
/// One grant = one owner (door, source, by, via), however many elements. An element ends at the latest end of
/// the grants that hold it, so closing one owner never cuts another.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/batch.hpp>
#include <knock/time.hpp>

namespace knock {

enum class Via : std::uint8_t { knock, kn1, hand, session, fleet, foreign };
std::string_view to_string(Via via);

struct OpenGrant {
  std::uint64_t id = 0;
  std::string door; ///< a foreign element: "foreign"
  Address source;
  std::vector<Port> ports;
  std::string by = "-"; ///< user/device
  Via via = Via::knock;
  Instant opened{};
  Instant ends{};
  Instant cap{};        ///< nothing extends beyond
  bool adopted = false; ///< found in the kernel at start
  bool operator==(const OpenGrant&) const = default;
};

/// Comment of an element: `DOOR BY VIA OPENED CAP`, the times in seconds of CLOCK_MONOTONIC.
std::string comment_of(const OpenGrant& grant);

struct GrantRequest {
  std::string door;
  Address source;
  std::vector<Port> ports;
  std::string by = "-";
  Via via = Via::knock;
  Millis open_for{};
  Millis max{};
};

struct LedgerLimits {
  std::uint32_t grants = 65'536;
  std::uint32_t per_source = 16;
};

/// One audit line to be.
struct LedgerEvent {
  enum class Verb : std::uint8_t { open, extend, close, expire, refused };
  Verb verb = Verb::open;
  OpenGrant grant;
  std::string reason; ///< close, expire: after max hand door-removed ...; refused: source grants limit
};

/// What shall become true. Commit `batch`; when the kernel acked it, `accept` the plan, else drop it.
struct Plan {
  Batch batch;
  std::vector<LedgerEvent> events;
  std::vector<OpenGrant> after;      ///< grants as they are then
  std::vector<std::uint64_t> closed; ///< grants that are gone then
};

/// Which grants a close means. Empty fields match everything.
struct CloseWhich {
  std::optional<std::uint64_t> id;
  std::optional<std::string> door;
  std::optional<Address> source;
};

class Ledger {
 public:
  explicit Ledger(LedgerLimits limits) : limits_(limits) {}

  /// Takes over what the kernel holds at start, one grant per owner and source, and forgets all else.
  void adopt(std::span<const Element> elements, Instant now);

  /// Opens or extends, never shortens. What limits forbid becomes a `refused` event.
  [[nodiscard]] Plan plan_open(std::span<const GrantRequest> requests, Instant now) const;
  [[nodiscard]] Plan plan_close(const CloseWhich& which, std::string_view reason, Instant now) const;
  /// Every live element with its remaining time: to fill a table that was made anew.
  [[nodiscard]] Batch all(Instant now) const;

  void accept(const Plan& plan);
  /// Removes what has ended; the kernel dropped the elements by itself.
  std::vector<LedgerEvent> expire(Instant now);

  void set_limits(LedgerLimits limits) { limits_ = limits; }
  [[nodiscard]] std::optional<Instant> next_end() const;
  [[nodiscard]] const std::map<std::uint64_t, OpenGrant>& grants() const { return grants_; }

 private:
  [[nodiscard]] std::vector<const OpenGrant*> of_source(const Address& source) const;
  void put(OpenGrant grant);
  void erase(std::uint64_t id);

  LedgerLimits limits_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, OpenGrant> grants_; // by id
  std::set<std::pair<Address, std::uint64_t>> by_source_;
  std::set<std::pair<Instant, std::uint64_t>> by_end_;
};

} // namespace knock
