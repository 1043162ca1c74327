// SPDX-License-Identifier: GPL-2.0-or-later
/// Refusals: the last ones of devices as the engine wrote them into its page: shown, and trusted for nothing.
#pragma once

#include <vector>

#include <knock/users_report.hpp>

#include "engine/seam.hpp"

namespace knock::keeper {

/// Adds to each device its last refusal, where the engine's is later.
void show_refusals(const engine::RefusalPage& page, const Config& config, std::vector<UserReport>& users);

} // namespace knock::keeper
