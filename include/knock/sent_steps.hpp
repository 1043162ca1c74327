// SPDX-License-Identifier: GPL-2.0-or-later
/// SentSteps: a knock as a client without root sends it: which packet when.
///
/// In:     steps as in knockgate.toml, or as those who know knock(1) type them: "7143", "7143:udp".   Out: packets in time.
/// Errors: no step; a packet that only root can send.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <knock/control.hpp>
#include <knock/step.hpp>

namespace knock {

inline constexpr Millis kSpacing{100}; ///< between two packets, so that the router sees them in order

struct SentStep {
  PacketKind kind;
  Millis at{}; ///< from the first
};

/// Errors (usage) name the step.
tl::expected<std::vector<SentStep>, Failure> sent_steps(std::span<const std::string> steps,
                                                        Millis spacing = kSpacing);

} // namespace knock
