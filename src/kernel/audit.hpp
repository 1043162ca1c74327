// SPDX-License-Identifier: GPL-2.0-or-later
/// Audit: one log line for each grant that opens, is extended, closed, or ends.
#pragma once

#include <string>

#include <knock/ledger.hpp>

namespace knock::kernel {

/// `now`: for how long it was open. Requires: not a refusal, which is counted and never logged.
std::string audit_line(const LedgerEvent& event, Instant now);

} // namespace knock::kernel
