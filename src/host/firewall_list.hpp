// SPDX-License-Identifier: GPL-2.0-or-later
/// FirewallList: the firewall as nft lists it, table by table, without our own and dormant ones.
///
/// Errors: empty without CAP_NET_ADMIN; a table that goes meanwhile, or that nft cannot name, holds no rule.
/// Source: nft(8), "list".
#pragma once

#include <knock/config.hpp>

#include "host/firewall.hpp"

namespace knock::host {

/// Of this network namespace.
Firewall list_firewall(const Config& config);

} // namespace knock::host
