// SPDX-License-Identifier: GPL-2.0-or-later
/// Table: what others do to our table, and when it is put back.
///
/// In:      commits of others, what a look at the table found, whether a load succeeded.
/// Out:     whether the table is to be loaded now; the elements that others removed.
/// Threads: one. Time: passed in.
/// A table that is removed again and again is put back ten times a minute, then after a pause (heal_budget.hpp).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <knock/config.hpp>
#include <knock/heal_budget.hpp>

#include "core/keeper/round.hpp"

namespace knock::keeper {

class Table {
 public:
  void hear(const Disturbance& disturbance, Mode mode);
  /// A commit found no table or no set; or a look did.
  void lose();
  /// Anything may have happened to it: it must be looked at.
  void doubt() { doubted_ = true; }
  [[nodiscard]] bool is_doubted() const { return doubted_; }
  /// Nothing: it could not be looked at, and the doubt stays.
  void look(const std::optional<TableSeen>& seen, const StaticSets& wanted);

  /// Whether it has to be loaded, and may be: now.
  [[nodiscard]] bool heals(Instant now) const;
  [[nodiscard]] bool is_lost() const { return lost_; }
  /// While it is lost and may not be loaded: why.
  [[nodiscard]] Error absence(const std::string& table) const;
  /// Whether the elements go in a batch of their own, behind the load.
  [[nodiscard]] bool is_apart() const { return apart_; }
  /// What a load came to. Returns what to log.
  std::vector<Line> settle_heal(const std::optional<Error>& error, std::size_t elements, bool with_elements,
                                const Config& config, Instant now);
  /// Loaded on request: what was is forgotten.
  void settle_load();
  void forget();

  /// Elements that others removed since: the first `most` of them.
  std::vector<GrantKey> take_removed(std::size_t most = std::numeric_limits<std::size_t>::max());
  [[nodiscard]] std::size_t removed() const { return removed_.size(); }
  /// These are gone, too; or could not be dealt with yet.
  void keep_removed(const std::vector<GrantKey>& keys) {
    removed_.insert(removed_.end(), keys.begin(), keys.end());
  }
  [[nodiscard]] std::optional<Instant> next(Instant now) const;
  /// While the healing pauses: until when, and who removes the table.
  [[nodiscard]] std::optional<Instant> paused_until(Instant now) const { return budget_.paused_until(now); }
  [[nodiscard]] std::string disturber() const { return by_.empty() ? "somebody" : by_; }
  [[nodiscard]] std::uint64_t healed() const { return healed_; }
  /// Why it could not be put back the last time.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  bool lost_ = false;
  bool doubted_ = false;
  bool apart_ = false;
  std::string by_; // who removed what is ours, until it is back
  HealBudget budget_;
  std::optional<Error> error_;
  std::optional<Instant> not_before_;
  std::vector<GrantKey> removed_;
  std::uint64_t healed_ = 0;
  Instant healed_at_{};
};

} // namespace knock::keeper
