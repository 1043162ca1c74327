// SPDX-License-Identifier: GPL-2.0-or-later
/// Ruleset: nft statements as text, by libnftables. Rules are never built in C++.
///
/// Threads: any; each call has a context of its own.
#pragma once

#include <string>
#include <vector>

#include <knock/result.hpp>

#include "wire/extension.hpp"
#include "wire/nft_table.hpp"

namespace knock::netlink {

/// Runs nft statements as one transaction (libnftables). Errors: nft's own first line.
Result<void> load_ruleset(const std::string& text);
/// The same without changing anything.
Result<void> check_ruleset(const std::string& text);
/// What nft says to a `list` statement, as JSON. Errors: EPERM without CAP_NET_ADMIN.
Result<std::string> list_ruleset(const std::string& statement);
/// The same without the elements of named sets, which may be millions.
Result<std::string> list_terse(const std::string& statement);
/// The tables of all families.
Result<std::vector<wire::TableInfo>> list_tables();
/// The rules of all tables that hold extensions of iptables, of which nft shows the names alone.
Result<std::vector<wire::ExtendedRule>> list_extensions();

} // namespace knock::netlink
