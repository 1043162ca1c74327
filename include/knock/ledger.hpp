// SPDX-License-Identifier: GPL-2.0-or-later
/// Ledger: every open grant with owner, cause and end. The kernel's set is the state; this is what it means.
///
/// In:      requests, closes, connections and counters seen, what the kernel held at start.
/// Out:     a Plan: the kernel changes to commit and what is true once they are acked.
/// Memory:  one entry a grant, bounded by `[limits] grants`, and one an element.
/// Threads: one.
/// Time:    passed in.
///
/// An element ends at the latest end of the grants that hold it, so closing one owner never cuts another.
/// A grant without a known end (idle, disconnect) has a short one that is pushed on while there is a reason:
/// whatever happens to us, the kernel closes it.
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

#include <knock/open_grant.hpp>

namespace knock {

inline constexpr Millis kLease{60'000};          // how far ahead of a live connection its grant ends
inline constexpr Millis kSentAgain{10'000};      // TCP sends a SYN again after 1, 3 and 7 s (RFC 6298)
inline constexpr Millis kForwardOutlives{1'000}; // else the last packet meets a local service of that port

struct LedgerLimits {
  std::uint32_t grants = 65'536;
  std::uint32_t per_source = 16; ///< IPv6: of one /64
};

/// One audit line to be.
struct LedgerEvent {
  enum class Verb : std::uint8_t { open, extend, close, expire, refused };
  Verb verb = Verb::open;
  OpenGrant grant;
  std::string reason; ///< close, expire: after idle disconnect uses max hand ...; refused: which limit
  Traffic traffic{};  ///< of all its elements, as last seen
};

/// What shall become true. Commit `batch`; when the kernel acked it, `accept` the plan, else drop it.
struct Plan {
  Batch batch;
  std::vector<LedgerEvent> events;
  std::vector<OpenGrant> after;      ///< grants as they are then
  std::vector<std::uint64_t> closed; ///< grants that are gone then
  [[nodiscard]] bool empty() const { return batch.empty() && after.empty() && closed.empty(); }
};

/// Which grants a close means. Empty fields match everything.
struct CloseWhich {
  std::optional<std::uint64_t> id{};
  std::optional<std::string> door{};
  std::optional<Address> source{}; ///< let in by it
  std::optional<GrantKey> key{};   ///< holders of this element
};

class Ledger {
 public:
  explicit Ledger(LedgerLimits limits) : limits_(limits) {}

  using TermsOf = std::function<Terms(std::string_view door)>;
  /// Takes over what the kernel holds at start, one grant per owner and source, and forgets all else.
  void adopt(std::span<const Element> elements, const TermsOf& terms_of, Instant now);

  /// Opens or extends, never shortens. What limits forbid becomes a `refused` event.
  [[nodiscard]] Plan plan_open(std::span<const GrantRequest> requests, Instant now) const;
  [[nodiscard]] Plan plan_close(const CloseWhich& which, std::string_view reason, Instant now) const;
  /// Every live element with its remaining time: to fill a table that was made anew.
  [[nodiscard]] Batch all(Instant now) const;
  void accept(const Plan& plan);
  /// Removes what has ended; the kernel dropped the elements by itself.
  std::vector<LedgerEvent> expire(Instant now);

  // ledger_flows.cpp: what ends by use

  /// Whether a connection of `source` to `port` means anything to a grant.
  [[nodiscard]] bool watches(const Address& source, Port port) const;
  /// It began: counted at once, and keeps a grant open.
  Plan flow_begun(const Address& source, Port port, Instant now);
  Plan flow_ended(const Address& source, Port port, Instant now);
  /// The elements that may have let it in and count their uses. What the kernel counted there is to be noted.
  [[nodiscard]] std::vector<GrantKey> counted_uses(const Address& source, Port port) const;
  /// Connections beyond those that the element's counter told: what is left becomes less.
  void spend(const GrantKey& key, std::uint64_t connections);
  /// Grants without a use left, a while after the last: the packet of it may have to be sent again.
  std::vector<std::uint64_t> used_up(Instant now);
  [[nodiscard]] std::optional<Instant> next_used_up() const;
  /// The elements that count uses: all, and those that the requests share.
  [[nodiscard]] std::vector<GrantKey> uses_keys() const;
  [[nodiscard]] std::vector<GrantKey> uses_keys_of(std::span<const GrantRequest> requests) const;
  /// Elements that still hold the uses of a grant that ended since the last call; and put without them.
  std::set<GrantKey> outlived() { return std::exchange(outlived_, {}); }
  [[nodiscard]] Plan plan_anew(const std::set<GrantKey>& keys, Instant now) const;
  /// The elements of connections that are older than the guard.
  [[nodiscard]] std::vector<GrantKey> sessions() const;
  /// Pushes on grants whose connections live.
  [[nodiscard]] Plan plan_leases(Instant now) const;
  /// Pushes on grants whose counters moved. `note` first.
  [[nodiscard]] Plan plan_idle(Instant now) const;
  /// The elements with counters: of all grants, of on-idle ones.
  [[nodiscard]] std::vector<GrantKey> keys() const;
  [[nodiscard]] std::vector<GrantKey> idle_keys() const;
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
  /// An element as we believe the kernel has it.
  struct Held {
    Traffic traffic{};
    Target target{};
  };
  using Pointers = std::vector<const OpenGrant*>;

  [[nodiscard]] Pointers of_subnet(const Address& subnet) const;
  [[nodiscard]] Pointers of_source(const Address& source) const;
  [[nodiscard]] Pointers letting_in(const Address& source, Port port) const;
  [[nodiscard]] bool has_flows(const OpenGrant& grant) const;
  [[nodiscard]] Change put_change(const Pointers& holders, const GrantKey& key, Instant now) const;
  [[nodiscard]] Change end_change(const GrantKey& key) const;
  /// Puts the elements of changed grants, each for whoever keeps it longest.
  [[nodiscard]] Plan plan_change(std::vector<OpenGrant> changed, Instant now) const;
  void put(OpenGrant grant);
  void erase(std::uint64_t id);

  LedgerLimits limits_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, OpenGrant> grants_; // by id
  std::map<GrantKey, Held> elements_;
  std::set<std::pair<Address, std::uint64_t>> by_source_;
  std::set<std::pair<Instant, std::uint64_t>> by_end_;
  std::set<std::pair<Millis, std::uint64_t>> by_idle_;      // on_idle only
  std::set<std::uint64_t> flowing_;                         // on_disconnect with live connections
  std::set<std::uint64_t> sessions_;                        // connections older than the guard
  std::set<GrantKey> outlived_;
  std::vector<std::uint64_t> used_up_;                      // since a moment ago
  std::set<std::pair<Instant, std::uint64_t>> by_used_up_;  // when they are closed
  std::map<std::pair<Address, Port>, std::uint32_t> flows_; // alive, by who and whereto
  std::size_t flow_watchers_ = 0;
};

} // namespace knock
