// SPDX-License-Identifier: GPL-2.0-or-later
/// What stands in the way of a door on this host, although its config is right.
///
/// In:     the config, and what the sysctls and the admin's other tables say.   Out: warnings at the door's place.
/// Errors: what may not be read or listed (CAP_NET_ADMIN) is not judged.
/// Source: ip-sysctl(kernel), libnftables-json(5); nft_flow_offload.c: only hook forward offloads a flow.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <knock/config.hpp>

namespace knock::host {

/// A chain or flowtable, and where it is.
struct InTable {
  std::string family; ///< ip, ip6, inet, ...
  std::string table;
  std::string name;
  bool operator==(const InTable&) const = default;
};

struct HostFacts {
  bool forwards4 = true;   ///< net.ipv4.ip_forward
  bool forwards6 = true;   ///< net.ipv6.conf.all.forwarding
  bool tells_flows = true; ///< net.netfilter.nf_conntrack_events
  std::vector<InTable>
      dropping; ///< base chains at hook forward that drop what DNAT turned, unless a rule says otherwise
  std::vector<InTable> flowtables;
};

/// Asks the kernel, only for what some enabled door of `config` makes worth knowing.
HostFacts look_at_host(const Config& config);
std::vector<Finding> check_host(const Config& config, const HostFacts& facts);
inline std::vector<Finding> check_host(const Config& config) {
  return check_host(config, look_at_host(config));
}

/// Of `nft -j list chains`: base chains at hook forward with policy drop, in families that route.
std::vector<InTable> parse_dropping_chains(std::string_view json);
/// Of `nft -j list flowtables`.
std::vector<InTable> parse_flowtables(std::string_view json);
/// Of `nft -j list chain`: whether a rule that matches `ct status dnat` accepts.
bool accepts_dnat(std::string_view json);

} // namespace knock::host
