// SPDX-License-Identifier: GPL-2.0-or-later
/// Ledger: every open grant with owner, cause and end. The kernel's set is the state; this is what it means.
///
/// In:      requests, closes, connections and counters seen, what the kernel held at start.
/// Out:     a Plan: the kernel changes to commit and what is true once they are acked.
/// Memory:  one entry a grant, bounded by `[limits] grants`, and one an element.
/// Threads: one. Time: passed in.
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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <knock/plan.hpp>
#include <knock/shares.hpp>

namespace knock {

inline constexpr Millis kLease{60'000};          // how far ahead of a live connection its grant ends
inline constexpr Millis kSentAgain{10'000};      // TCP sends a SYN again after 1, 3 and 7 s (RFC 6298)
inline constexpr Millis kForwardOutlives{1'000}; // else the last packet meets a local service of that port

class Ledger {
 public:
  explicit Ledger(LedgerLimits limits) : limits_(limits) {}

  using TermsOf = std::function<Terms(std::string_view door)>;
  /// Takes over what the kernel holds at start, one grant per owner and source, and forgets all else.
  void adopt(std::span<const Element> elements, const TermsOf& terms_of, Instant now);

  /// Opens or extends, never shortens. At a limit a door gives up its own of `spare` that carried no packet,
  /// in that order; what limits forbid then becomes a `refused` event. A request's own event is its last.
  [[nodiscard]] Plan plan_open(std::span<const GrantRequest> requests, Instant now,
                               std::span<const std::uint64_t> spare = {}) const;
  /// What these may have to give up, the oldest first, as far as known. Look at their counters, then plan.
  std::vector<std::uint64_t> spare(std::span<const GrantRequest> requests, std::size_t at_least = 0);
  [[nodiscard]] Plan plan_close(const CloseWhich& which, std::string_view reason, Instant now) const;
  /// Every live element with its remaining time: to fill a table that was made anew.
  [[nodiscard]] Batch all(Instant now) const;
  Undo accept(const Plan& plan);
  /// Makes an accept unhappen. Requires: nothing but accepts since, and those reverted, the last first.
  void revert(const Undo& undo);
  /// Removes what has ended; the kernel dropped the elements by itself.
  std::vector<LedgerEvent> expire(Instant now);

  // ledger_flows.cpp: what ends by use
  /// Whether a connection of `source` to `port` means anything to a grant.
  [[nodiscard]] bool watches(const Address& source, Port port) const;
  /// It began: counted at once. `known`: it may have begun, and be answered, long ago.
  /// Returns the grants whose end may have to change: plan_flows.
  std::vector<std::uint64_t> flow_begun(const Address& source, Port port, bool known, Instant now);
  /// One that we saw begin: its first packet need not be sent again.
  void flow_answered(const Address& source, Port port, Instant now);
  std::vector<std::uint64_t> flow_ended(const Address& source, Port port);
  /// Of these grants, those with a connection stay open, the others for `linger`.
  [[nodiscard]] Plan plan_flows(std::span<const std::uint64_t> ids, Instant now) const;
  /// The elements that may have let it in and count their uses. What the kernel counted there is to be noted.
  [[nodiscard]] std::vector<GrantKey> counted_uses(const Address& source, Port port) const;
  /// Connections beyond those that the element's counter told: what is left becomes less.
  void spend(const GrantKey& key, std::uint64_t connections);
  /// Until they are closed: grants without a use left whose connections are all answered, or kSentAgain after the
  /// last began: until then its first packet may have to be sent again, and needs the element.
  std::vector<std::uint64_t> used_up(Instant now);
  [[nodiscard]] std::optional<Instant> next_used_up() const;
  /// Elements that still hold the uses of a grant that ended since the last call; and put without them.
  std::set<GrantKey> outlived() { return std::exchange(outlived_, {}); }
  [[nodiscard]] Plan plan_anew(const std::set<GrantKey>& keys, Instant now) const;
  /// The elements of connections that are older than the guard.
  [[nodiscard]] std::vector<GrantKey> sessions() const;
  [[nodiscard]] bool has_sessions() const { return !sessions_.empty(); }
  /// Pushes on grants whose connections live.
  [[nodiscard]] Plan plan_leases(Instant now) const;
  /// Pushes on grants whose counters moved. `note` first.
  [[nodiscard]] Plan plan_idle(Instant now) const;
  /// The elements of those that a close means, or that requests may change; without those of forwards.
  [[nodiscard]] std::vector<GrantKey> keys_of(const CloseWhich& which) const;
  [[nodiscard]] std::vector<GrantKey> keys_of(const GrantRequest& request) const;
  /// The elements with counters: of all grants, of on-idle ones.
  [[nodiscard]] std::vector<GrantKey> keys() const;
  [[nodiscard]] std::vector<GrantKey> idle_keys() const;
  [[nodiscard]] std::vector<GrantKey> lease_keys() const;
  /// Takes over what the kernel counted.
  void note(std::span<const Element> elements);
  [[nodiscard]] Traffic traffic(const OpenGrant& grant) const;
  [[nodiscard]] Traffic counted(const GrantKey& key) const;
  /// Connections are no longer watched.
  void forget_flows();
  void set_limits(LedgerLimits limits) { limits_ = limits; }
  [[nodiscard]] std::optional<Instant> next_end() const;
  /// The first end behind `from`, and the elements with counters that end until `until`.
  [[nodiscard]] std::optional<Instant> next_end_after(Instant from) const;
  [[nodiscard]] std::vector<GrantKey> ending(Instant from, Instant until) const;
  /// Of open on-idle grants; nothing when there is none.
  [[nodiscard]] std::optional<Millis> shortest_idle() const;
  [[nodiscard]] bool leases() const { return !flowing_.empty(); }
  /// Whether any open grant has to know of connections.
  [[nodiscard]] bool needs_flows() const { return flow_watchers_ != 0; }
  [[nodiscard]] bool has(const GrantKey& key) const { return elements_.contains(key); }
  [[nodiscard]] const std::map<std::uint64_t, OpenGrant>& grants() const { return grants_; }

 private:
  using Pointers = std::vector<const OpenGrant*>;
  struct Opening; // a plan_open in the making

  [[nodiscard]] Pointers matching(const CloseWhich& which) const;
  [[nodiscard]] Pointers of_subnet(const Address& subnet) const;
  [[nodiscard]] Pointers of_source(const Address& source) const;
  [[nodiscard]] Pointers letting_in(const Address& source, Port port) const;
  [[nodiscard]] bool has_flows(const OpenGrant& grant) const;
  /// Who keeps an element longest; null: none of them holds it, or has a use left.
  static const OpenGrant* latest(const Pointers& grants, const GrantKey& key);
  [[nodiscard]] bool is_unused(const OpenGrant& grant) const;
  /// An element for those of `holders` that hold `key`; the end of it when none does.
  [[nodiscard]] Change put_change(const Pointers& holders, const GrantKey& key, Instant now) const;
  [[nodiscard]] Change end_change(const GrantKey& key) const;
  [[nodiscard]] Plan plan_change(std::vector<OpenGrant> changed, Instant now) const;
  void put(OpenGrant grant);
  void erase(std::uint64_t id);

  LedgerLimits limits_;
  Shares shares_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, OpenGrant> grants_; // by id
  std::map<GrantKey, HeldElement> elements_;
  std::set<std::pair<Address, std::uint64_t>> by_source_;
  std::set<std::pair<Instant, std::uint64_t>> by_end_;
  std::set<std::pair<Millis, std::uint64_t>> by_idle_;           // on_idle only
  std::set<std::uint64_t> flowing_;                              // on_disconnect with live connections
  std::set<std::uint64_t> sessions_;                             // connections older than the guard
  std::set<GrantKey> outlived_;                                  // elements of uses, by grants that ended
  std::vector<std::uint64_t> used_up_;                           // since a moment ago
  std::set<std::pair<Instant, std::uint64_t>> by_used_up_;       // when they are closed
  std::map<std::pair<Address, Port>, std::uint32_t> flows_;      // alive, by who and whereto
  std::map<std::pair<Address, Port>, std::uint32_t> unanswered_; // of these
  std::size_t flow_watchers_ = 0;
};

} // namespace knock
