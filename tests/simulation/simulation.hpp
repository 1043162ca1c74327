// SPDX-License-Identifier: GPL-2.0-or-later
/// Simulation: one history, played on the keeper's machine and on straw, under the laws.
///
/// In:      a History.   Out: the law that was broken first, and at which event; a hash of all that was done.
/// Threads: one. Time: that of straw.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/keeper/machine.hpp"
#include "history.hpp"
#include "laws.hpp"

namespace knock::simulation {

struct Played {
  std::optional<Violation> broken{};
  std::size_t events = 0; ///< that were played; the last one broke the law
  std::size_t rounds = 0;
  std::uint64_t hash = 0; ///< of all steps and words
};

/// `tell`: each event and each line, as it happens, on stdout.
Played play(const History& history, bool tell = false);
/// The fewest events that still break the same law, as far as leaving out finds them.
History shortened(const History& history, const std::string& law);

} // namespace knock::simulation
