// SPDX-License-Identifier: GPL-2.0-or-later
/// Lasting: connections at guarded ports that outlive the grant that let them in (flows = "keep").
///
/// In:   what conntrack knows and what sockets there are, the configuration, what is open.
/// Out:  those that no open grant covers.
/// Errors: a connection over a trusted interface looks the same to conntrack; `is_trusted` tells.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <knock/config.hpp>
#include <knock/flow.hpp>
#include <knock/status.hpp>

namespace knock {

struct Lasting {
  std::string door; ///< that opens the port; of several the first
  Flow flow;
};

struct LastingView {
  const Config& config;
  std::span<const StatusGrant> grants;
  const std::set<Address>& own; ///< addresses of this router
  std::function<bool(const Address& source)> is_trusted;
};
/// Adds those of the host's own connections that conntrack does not know: older than its first rule, and idle since.
void add_unknown(std::vector<Flow>& flows, std::span<const Flow> connections);
std::vector<Lasting> lasting(std::span<const Flow> flows, const LastingView& view);

/// By door and source, as status shows them.
std::vector<StatusConnections> counted(std::span<const Lasting> all);

} // namespace knock
