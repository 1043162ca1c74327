// SPDX-License-Identifier: GPL-2.0-or-later
/// What stands in the way of a door on this host, although its config is right.
///
/// In:     the config, and what the sysctls, routes and the admin's other tables say.
/// Out:    warnings, each with its name, at a door's place; without those that `[check] accept` names.
/// Source: nft_flow_offload.c: only hook forward offloads a flow.
#pragma once

#include <vector>

#include "host/host_facts.hpp"

namespace knock::host {

std::vector<Finding> check_host(const Config& config, const HostFacts& facts);
inline std::vector<Finding> check_host(const Config& config) {
  return check_host(config, look_at_host(config));
}

} // namespace knock::host
