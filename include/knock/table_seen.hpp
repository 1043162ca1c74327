// SPDX-License-Identifier: GPL-2.0-or-later
/// TableSeen: what of our table is in the kernel, without its grants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <knock/ruleset.hpp>

namespace knock {

/// A fault in the admin's own table, which only the admin can mend.
struct TableFault {
  std::string text;
  std::string run; ///< what to type
  bool operator==(const TableFault&) const = default;
};

struct TableSeen {
  bool there = false; ///< the table, or in embed mode our sets in it
  bool as_loaded =
      false; ///< table, chains, rules and static sets are those that the last load left; `guarded` apart,
             ///< and the chains of embed mode, which are the admin's
  std::vector<Guarded> guarded{}; ///< sorted
  std::uint32_t set_size = 0;     ///< of a grant set
  bool overflow = false; ///< the kernel gave up following single sources: the strays of all are reported
  bool taken = false;    ///< gate mode: a table of this name that we did not make
  std::optional<std::uint16_t> group{}; ///< the first NFLOG group that our rules report to
  std::vector<TableFault> faults{};     ///< embed mode
};

} // namespace knock
