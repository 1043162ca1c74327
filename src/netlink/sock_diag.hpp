// SPDX-License-Identifier: GPL-2.0-or-later
/// Sock_diag: the TCP connections of this host.
///
/// Source: sock_diag(7).
#pragma once

#include <vector>

#include <knock/batch.hpp>
#include <knock/result.hpp>

namespace knock::netlink {

/// The TCP connections of this host, each as the key of its `session` element; sorted.
Result<std::vector<GrantKey>> open_connections();

} // namespace knock::netlink
