// SPDX-License-Identifier: GPL-2.0-or-later
/// Table: what others do to our table, and when it is put back.
///
/// In:      commits of others, what a look at the table found, whether a load succeeded.
/// Out:     whether the table is to be loaded now; the elements that others removed.
/// Threads: one. Time: passed in.
/// A table that is removed again and again is put back at a pace (heal_pace.hpp).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <knock/config.hpp>
#include <knock/heal_pace.hpp>

#include "core/keeper/round.hpp"

namespace knock::keeper {

/// Whether what is there is what shall be; of a trial, the time that is left is no difference.
bool is_as_wanted(const TableSeen& seen, const StaticSets& wanted);

class Table {
 public:
  /// `needed`: without it guarded ports are open; else, off or without a door, there is a doubt at most.
  void hear(const Disturbance& disturbance, Mode mode, bool needed);
  /// A commit found no table or no set; or a look did. What is open is gone with it. Not needed, it is looked at first.
  void lose(bool needed = true);
  /// Anything may have happened to it: it must be looked at.
  void doubt() { doubted_ = true; }
  [[nodiscard]] bool is_doubted() const { return doubted_; }
  /// Whether it is as it shall be.
  void look(bool intact, bool needed = true);

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
  /// It could not be put back, or taken away. `others`: it is another's to mend, nothing is tried until it changes.
  /// Returns what to log: each error once.
  std::vector<Line> fail(const Error& error, Instant now, bool others = false);
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
  struct Fight {
    Millis pace;    ///< how long the next load waits after the last; 0: no fight
    std::string by; ///< the process that changed the table last
  };
  [[nodiscard]] Fight fight(Instant now) const {
    return {pace_.wait(now), last_by_.empty() ? "another process" : last_by_};
  }
  [[nodiscard]] std::uint64_t healed() const { return healed_; }
  /// Why it could not be put back, or taken away, the last time.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  bool lost_ = false;  // and with it what was open
  bool wrong_ = false; // it is to be loaded, or taken away
  bool doubted_ = false;
  bool apart_ = false;
  std::string by_;      // who changed what is ours, until it is back
  std::string last_by_; // who did so last
  HealPace pace_;
  bool paced_ = false; // and that was logged
  std::optional<Error> error_;
  std::optional<Instant> not_before_;
  std::vector<GrantKey> removed_;
  std::uint64_t healed_ = 0;
};

} // namespace knock::keeper
