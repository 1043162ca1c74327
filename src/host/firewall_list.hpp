// SPDX-License-Identifier: GPL-2.0-or-later
/// FirewallList: the firewall as nft lists it, table by table, without our own.
///
/// Errors: a table that goes meanwhile, or that nft cannot name, holds no rule.
/// Source: nft(8), "list".
#pragma once

#include <vector>

#include <knock/config.hpp>

#include "host/firewall.hpp"
#include "wire/nft_table.hpp"

namespace knock::host {

/// `tables`: those of this network namespace.
Firewall list_firewall(const Config& config, const std::vector<wire::TableInfo>& tables);

} // namespace knock::host
