// SPDX-License-Identifier: GPL-2.0-or-later
/// Draft: the plans of one round as one Batch. Each plan is in the ledger at once, so that the next one sees it,
/// and is taken back when the kernel refuses the batch.
///
/// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <knock/ledger.hpp>

#include "core/keeper/round.hpp"

namespace knock::keeper {

/// What asked for a plan: a waiting Opening or Closing; 0: the keeper itself.
using JobId = std::uint64_t;

class Draft {
 public:
  struct Part {
    JobId job = 0;
    Plan plan;
    Undo undo;
  };

  /// Counters could not be read: an element that is put anew from here on may have counted more.
  void distrust_counters() { unread_ = true; }
  /// These are gone already: in a full set there is no place to remove what is not there.
  void leave_out(const std::vector<GrantKey>& gone);
  /// Accepts the plan in `ledger`.
  void add(Ledger& ledger, Plan plan, JobId job = 0);
  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  /// One change a key: the kernel refuses a batch that deletes a key twice.
  [[nodiscard]] Batch batch() const;
  /// Takes everything back out of the ledger.
  void revert(Ledger& ledger) const;
  /// Of the parts, those that cannot be: they hold a refused element, or a new one of a set that is full.
  [[nodiscard]] std::vector<bool> refused(std::span<const Refused> by_kernel) const;

 private:
  std::vector<Part> parts_;
  std::map<GrantKey, Change> changes_;
  bool unread_ = false;
};

} // namespace knock::keeper
