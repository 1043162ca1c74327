// SPDX-License-Identifier: GPL-2.0-or-later
/// Ledger: every open grant with owner, cause and end. The kernel's set is the state; this is what it means.
///
/// In:      requests, closes, connections and counters seen, what the kernel held at start.
/// Out:     a Plan: the kernel changes to commit and what is true once they are acked.
/// Memory:  one entry a grant, bounded by `[limits] grants`, and one an element.
/// Threads: one. Time: passed in.
/// Of four values: the book of grants, the shares that doors have of it, the elements, the connections. The ledger
/// changes them together; what shall become of them is planned by functions that only read.
/// An element ends at the latest end of the grants that hold it, so closing one owner never cuts another.
/// A grant without a known end (idle, disconnect) has a short one that is pushed on: whatever happens to us, the
/// kernel closes it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <knock/book.hpp>
#include <knock/elements.hpp>
#include <knock/plan.hpp>
#include <knock/shares.hpp>

namespace knock {

inline constexpr Millis kLease{60'000};          // how far ahead of a live connection its grant ends
inline constexpr Millis kSentAgain{10'000};      // TCP sends a SYN again after 1, 3 and 7 s (RFC 6298)
inline constexpr Millis kForwardOutlives{1'000}; // else the last packet meets a local service of that port

/// Whose element it is, as its comment says, without source and ports. Nothing: of another hand.
std::optional<OpenGrant> owner_of(const Element& element);
Instant end_of(const Element& element, Instant now);
/// An element of another hand, as a grant.
OpenGrant foreign_grant(const Element& element, std::uint64_t id, Instant now);

class Ledger {
 public:
  explicit Ledger(LedgerLimits limits) : shares_(limits) {}

  using TermsOf = std::function<Terms(std::string_view door)>;
  /// Takes over what the kernel holds at start, one grant per owner and source, and forgets all else. A grant of ours
  /// ends at its cap, whatever its elements say; one behind it is not taken over.
  void adopt(std::span<const Element> elements, const TermsOf& terms_of, Instant now);
  Undo accept(const Plan& plan);
  /// Makes an accept unhappen. Requires: nothing but accepts since, and those reverted, the last first.
  void revert(const Undo& undo);
  /// Removes what has ended; the kernel dropped the elements by itself.
  std::vector<LedgerEvent> expire(Instant now);
  /// Elements that still hold the uses of a grant that ended since the last call: plan_anew.
  std::set<GrantKey> outlived() { return std::exchange(outlived_, {}); }
  /// Takes over what the kernel counted.
  void note(std::span<const Element> elements);
  /// Connections beyond those that the element's counter told: what is left becomes less.
  void spend(const GrantKey& key, std::uint64_t connections);
  /// Those to be closed: without a use left, and all their connections are answered, or kSentAgain is over since the
  /// last began: until then its first packet may have to be sent again, and needs the element.
  Grants used_up(Instant now);
  /// What these may have to give up, the oldest first, as far as known. Look at their counters, then plan.
  std::vector<std::uint64_t> spare(std::span<const GrantRequest> requests, std::size_t at_least = 0);

  /// A connection began: counted at once. `known`: it may have begun, and be answered, long ago.
  /// Returns the grants whose end may have to change: plan_flows.
  std::vector<std::uint64_t> flow_begun(const Address& source, Port port, bool known, Instant now);
  /// All that we saw begin there are answered: none needs its first packet sent again.
  void flows_answered(const Address& source, Port port, Instant now);
  std::vector<std::uint64_t> flow_ended(const Address& source, Port port, Instant now);
  /// Connections are no longer watched.
  void forget_flows();

  void set_limits(LedgerLimits limits) { shares_.set_limits(limits); }
  [[nodiscard]] const Shares& shares() const { return shares_; }
  [[nodiscard]] const Book& book() const { return book_; }
  [[nodiscard]] const std::map<std::uint64_t, OpenGrant>& grants() const { return book_.grants(); }
  [[nodiscard]] const Elements& elements() const { return elements_; }

 private:
  /// Nothing: there is none any more. Returns what was there.
  std::optional<OpenGrant> replace(std::uint64_t id, std::optional<OpenGrant> grant);

  Shares shares_;
  Book book_;
  Elements elements_;
  Connections connections_; // that grants have to know of
  std::set<GrantKey> outlived_;
};

/// Opens or extends, never shortens. At a limit a door gives up its own of `spare` that carried no packet,
/// in that order; what limits forbid then becomes a `refused` event. A request's own event is its last.
Plan plan_open(const Ledger& ledger, std::span<const GrantRequest> requests, Instant now,
               std::span<const std::uint64_t> spare = {});
Plan plan_close(const Ledger& ledger, const CloseWhich& which, std::string_view reason, Instant now);
/// Of these grants, those with a connection stay open, the others for `linger`.
Plan plan_flows(const Ledger& ledger, std::span<const std::uint64_t> ids, Instant now);
/// Pushes on grants whose connections live.
Plan plan_leases(const Ledger& ledger, Instant now);
/// Pushes on grants whose counters moved. `note` first.
Plan plan_idle(const Ledger& ledger, Instant now);
/// Puts these elements with the uses that are left.
Plan plan_anew(const Ledger& ledger, const std::set<GrantKey>& keys, Instant now);
/// Every live element, with the grants that hold it.
std::map<GrantKey, Grants> open_elements(const Ledger& ledger, Instant now);
/// The same, each with its remaining time: to fill a table that was made anew.
Batch all_open(const Ledger& ledger, Instant now);

/// What a whole look at the sets shows that is not as the ledger has it.
struct Strays {
  /// Removes elements with our comment that no grant holds, puts again those that end at another time. An element with
  /// another comment becomes a grant, which ends with the element.
  Plan right;
  std::vector<GrantKey> missing; ///< of open grants
};
Strays look_for_strays(const Ledger& ledger, std::span<const Element> there, Instant now);

/// Their elements that have counters, without those of forwards.
std::vector<GrantKey> keys_of(const Ledger& ledger, const Grants& grants);
/// Of all grants of its source: one that it shares an element with, and one that it extends.
std::vector<GrantKey> keys_of(const Ledger& ledger, const GrantRequest& request);
/// The elements with counters: of all grants; of these, where the counter tells whether they idle.
std::vector<GrantKey> keys_of(const Ledger& ledger);
std::vector<GrantKey> counted_keys(const Grants& grants);
/// The elements that may have let it in and count their uses. What the kernel counted there is to be noted.
std::vector<GrantKey> counted_uses(const Ledger& ledger, const Address& source, Port port);

} // namespace knock
