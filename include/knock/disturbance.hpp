// SPDX-License-Identifier: GPL-2.0-or-later
/// Disturbance: what a commit of another process did to our table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <knock/batch.hpp>

namespace knock {

/// One commit, whole.
struct Disturbance {
  bool broken = false;             ///< table, set, chain or rule of ours gone, or an element of a static set
  bool set_made = false;           ///< a set of ours was made, or loaded over itself
  bool changed = false;            ///< anything of ours was made or added: it may not be as we want it
  std::vector<GrantKey> removed{}; ///< elements deleted from our grant sets and not put back
  std::string by{};                ///< name of the process, as it chose it
  bool overran = false;            ///< messages were lost: anything may have happened
  std::uint32_t count = 0;         ///< of commits, of all tables: when it was
};

} // namespace knock
