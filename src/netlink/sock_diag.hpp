// SPDX-License-Identifier: GPL-2.0-or-later
/// Sock_diag: the TCP connections of this host.
///
/// Source: sock_diag(7).
#pragma once

#include <vector>

#include <knock/flow.hpp>
#include <knock/result.hpp>

namespace knock::netlink {

/// The TCP connections of this host, each as its peer sees it (wire/sock_diag.hpp); sorted.
Result<std::vector<Flow>> open_connections();

} // namespace knock::netlink
