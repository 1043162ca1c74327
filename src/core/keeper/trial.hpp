// SPDX-License-Identifier: GPL-2.0-or-later
/// Trial: a new port is guarded until it is confirmed: what proves that its users come in, and how the trial ends.
///
/// Time: passed in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <knock/confirm.hpp>

#include "core/keeper/round.hpp"

namespace knock::keeper {

struct Confirming {
  std::optional<Failure> refusal{};
  Unconfirmed rest{}; ///< what stays: trials that are over
  std::vector<std::string> texts{};
};
/// What `knockctl confirm` does now; `anyway`: also what was never opened.
Confirming plan_confirm(const Config& config, const Unconfirmed& trials, bool anyway, Instant now);

/// Marks the trials that the kernel has ended, and says so; nothing: none.
std::optional<Line> tell_ended(Unconfirmed& trials, Instant now);
std::optional<Instant> next_ended(const Unconfirmed& trials);

} // namespace knock::keeper
