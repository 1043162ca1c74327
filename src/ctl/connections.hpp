// SPDX-License-Identifier: GPL-2.0-or-later
/// Connections: those that live on without a grant, as root's knockctl sees and ends them.
///
/// The daemon does not follow them: knocks would wait for it, and they need nothing of it.
#pragma once

#include <vector>

#include <knock/lasting.hpp>
#include <knock/result.hpp>

namespace knock::ctl {

/// By the configuration on disk and what the daemon says is open. Errors: EPERM (CAP_NET_ADMIN).
Result<std::vector<Lasting>> lasting_connections(const Config& config, const Status& status);
/// Returns how many were still there.
Result<std::size_t> end_connections(const std::vector<Lasting>& all);

} // namespace knock::ctl
