// SPDX-License-Identifier: GPL-2.0-or-later
/// Gate: our table in the kernel, in either mode: loaded, filled, read back.
///
/// In:      the config, the static sets, the grants that go along.   Out: one transaction each.
/// Threads: one.
/// Errors:  what nft or the kernel refused; in embed mode, exactly what the admin's table lacks.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <knock/batch.hpp>
#include <knock/disturbance.hpp>
#include <knock/ruleset.hpp>
#include <knock/table_seen.hpp>

#include "netlink/nftables.hpp"

namespace knock::netlink {

/// Empties what guards in the table of an admin, of whatever version of embed.nft. Empty: there is nothing of ours.
std::string emptying_text(const std::string& table, const std::map<std::string, wire::SetInfo>& present);

class Gate {
 public:
  using Sets = std::map<std::string, wire::SetInfo>;

  static Result<Gate> open();

  /// Gate: loads the template over whatever is there, without the chains of another hand; elements stay, unless the
  /// size of their sets changes: that of a live set cannot, and the table is made anew. Embed: checks the sets.
  /// Then the static sets hold just `sets`, and `grants` are put, all in one transaction.
  /// Errors: EEXIST, gate: a table of this name that we did not make.
  /// Returns whether elements went without a change of size: another had defined a set anew, nft refused to load over
  /// what another had made of the table, or a set held what is no grant.
  Result<bool> load(const Config& config, const StaticSets& sets, const Batch& grants);
  /// Gate: deletes the table, if we made it. Embed: empties the static sets.
  Result<void> unload(const Config& config);

  /// Frees what [nft] named before, and what would drop all that we let in: its rules report to the groups of `config`,
  /// which no other process may hold. A load does it, too. What fails is found by `check`.
  void free_earlier(const Config& config);

  /// What another did: while a load was read back, the next look finds another table than was loaded.
  void hear(const Disturbance& disturbance);

  /// What is there, without a look at grants.
  Result<TableSeen> look(const Config& config);
  /// Elements of all grant sets, with counters; none when the table is missing. What is no grant, though it may let in,
  /// cannot be one of them: then the next look finds another table than was loaded.
  Result<std::vector<Element>> grants(const Config& config);
  /// Of these elements the ones that are there.
  Result<std::vector<Element>> find(const Config& config, std::span<const GrantKey> keys);

  /// The socket our batches come from, as the kernel's events name it.
  [[nodiscard]] std::uint32_t port_id() const { return nft_.port_id(); }
  /// `where_there`: leaves out what is of sets that are gone, and names no change that was refused.
  Result<void> commit(const Config& config, const Batch& batch, std::vector<Refused>* refused = nullptr,
                      bool where_there = false);

 private:
  explicit Gate(Nftables nft) : nft_(std::move(nft)) {}
  /// Takes what stands behind it for what it loaded: not what another commits in between.
  Result<bool> load_once(const Config& config, const StaticSets& sets, const Batch& grants);
  Result<std::vector<wire::RawElement>> elements(const Config& config, const char* set);
  /// Whether a set is not as the last load left it: Linux before 6.5 cannot change it in place.
  [[nodiscard]] bool is_redefined(const Sets& present) const;
  /// Of a table of the admin, what rules of embed.nft say.
  Result<void> look_embedded(const Config& config, const wire::TableInfo& table, TableSeen& seen);

  /// What a load left, but for `guarded` and what ends: another is the work of another.
  struct Shape {
    wire::TableInfo table;
    std::vector<wire::ChainInfo> chains; // neither these nor rules in embed mode, where they are the admin's
    std::vector<wire::RuleInfo> rules;
    std::map<std::string, std::pair<wire::SetInfo, std::set<std::string>>>
        sets; // and their elements as bytes
    bool operator==(const Shape&) const = default;
  };
  Result<Shape> shape(const Config& config, const Sets& sets);

  Nftables nft_;
  Shape loaded_; // by the last load
  /// Counts of commits: behind the first and up to the second others may have had their hands in `loaded_`.
  std::pair<std::uint32_t, std::uint32_t> crossed_;
  std::set<std::string> alien_; // grant sets that hold what is no grant
};

} // namespace knock::netlink
