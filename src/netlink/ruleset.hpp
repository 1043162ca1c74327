// SPDX-License-Identifier: GPL-2.0-or-later
/// Ruleset: nft statements as text, by libnftables. Rules are never built in C++.
///
/// Threads: any; each call has a context of its own.
#pragma once

#include <string>

#include <knock/result.hpp>

namespace knock::netlink {

/// Runs nft statements as one transaction (libnftables). Errors: nft's own first line.
Result<void> load_ruleset(const std::string& text);
/// The same without changing anything.
Result<void> check_ruleset(const std::string& text);
/// What nft says to a `list` statement, as JSON. Errors: EPERM without CAP_NET_ADMIN.
Result<std::string> list_ruleset(const std::string& statement);

} // namespace knock::netlink
