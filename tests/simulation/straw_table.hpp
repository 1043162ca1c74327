// SPDX-License-Identifier: GPL-2.0-or-later
/// Table: `inet knockgate` of straw: what nf_tables holds of it, with the rules of the real one.
///
/// In:      batches, loads, what another process does to it, packets.   Out: what the kernel would answer.
/// Time:    passed in.
/// Source:  nf_tables_api.c, nft_set_hash.c; straw_test runs the same on this and on the real kernel.
/// An element that ended is invisible, but keeps its place until the next collection, once a second.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <knock/ruleset.hpp>

#include "core/keeper/round.hpp"

namespace knock::simulation {

/// An element in its set.
struct Placed {
  Instant ends{};
  std::string comment{};
  Traffic traffic{};
  std::uint32_t burst = 0; ///< of `uses`: connections that it lets in
  std::uint32_t spent = 0; ///< of these
  Target target{};         ///< of `forward`
  /// Of one whose end is kNever, Element::kEndless.
  [[nodiscard]] Millis left(Instant now) const;
};

struct ElementSet {
  std::uint32_t size = 0;              ///< 0: unlimited
  std::map<GrantKey, Placed> placed{}; ///< those that ended a moment ago are here, too
  std::size_t displaced = 0;           ///< elements that ended and whose key was put anew: each keeps a place
};

/// What became of a transaction. Nothing is changed when `error` is not 0.
struct Verdict {
  int error = 0;
  std::vector<Refused> refused{}; ///< elements that the kernel named
};

struct Table {
  std::array<std::optional<ElementSet>, 2 * kGrantSets.size()> sets{}; ///< at index_of
  std::optional<std::map<Port, std::optional<Instant>>> guarded{};     ///< absent: set gone
  std::vector<Port> cut{};
  std::size_t rules = 0;
  std::uint64_t handle = 0; ///< another whenever sets or rules were made
  Instant collected{};      ///< when ended elements last gave their places back

  static std::size_t index_of(GrantSet set, Family family) {
    return 2 * static_cast<std::size_t>(set) + (family == Family::ipv6 ? 1 : 0);
  }
  [[nodiscard]] const ElementSet* set_of(const GrantKey& key) const {
    const auto& set = sets[index_of(key.set, key.source.family)];
    return set ? &*set : nullptr;
  }
  [[nodiscard]] ElementSet* ranges_of(const Address& source) {
    auto& set = sets[index_of(GrantSet::range, source.family)];
    return set ? &*set : nullptr;
  }
  /// One element that has not ended.
  [[nodiscard]] const Placed* find(const GrantKey& key, Instant now) const;
  [[nodiscard]] Placed* find(const GrantKey& key, Instant now) {
    return const_cast<Placed*>(std::as_const(*this).find(key, now));
  }
  /// All of them.
  [[nodiscard]] std::vector<Element> dump(Instant now) const;
  [[nodiscard]] bool is_guarded(Port port, Instant now) const;
  [[nodiscard]] std::vector<Guarded> guarded_now(Instant now) const;

  /// A batch as wire::encode writes it: of each set 128 changes at a time: add all, delete all, add the puts.
  Verdict commit(const Batch& batch, Instant now);
  /// What the template makes of the table, with these static sets. `resizes`: a set that is there gets the size
  /// that the template says (Linux 6.5 and newer).
  void load(const Config& config, const StaticSets& static_sets, Instant now, bool resizes);
  /// What `nft list ruleset` wrote at `listed`, over what is there: rules stand twice, elements that are there stay as
  /// they are. False: the kernel refuses it.
  bool load_listed(const Table& listing, Instant listed, Instant now);
  /// embed.nft as it is, in the admin's own: it adds what is missing, and flushes nothing.
  void load_admins();
  /// Those of embed.nft that we fill.
  [[nodiscard]] bool has_all_sets() const;
  /// Ended elements give their places back, where a collection is due.
  void collect(Instant now);
};

/// How many rules the templates have that this config wants.
std::size_t rules_of(const Config& config);
/// Size of the set that gate.nft makes for this config.
std::uint32_t size_of(GrantSet set, const Config& config);

} // namespace knock::simulation
