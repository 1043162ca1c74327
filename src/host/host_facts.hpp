// SPDX-License-Identifier: GPL-2.0-or-later
/// HostFacts: what is looked at on a host, as values.
///
/// Errors: what may not be read or listed (CAP_NET_ADMIN, a hidden /proc) is as it should be: not judged.
/// Source: ip-sysctl(kernel), nf_conntrack-sysctl(kernel), getifaddrs(3), proc(5), libnftables-json(5).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <knock/config.hpp>

#include "host/firewall.hpp"
#include "system/boot_path.hpp"

namespace knock::host {

struct Interface {
  std::vector<Address> addresses;
  bool way_out = false; ///< of a default route
};

struct Route {
  Prefix to;
  std::string out; ///< interface
};

struct HostFacts {
  bool forwards4 = true;                         ///< net.ipv4.ip_forward
  bool forwards6 = true;                         ///< net.ipv6.conf.all.forwarding
  bool tells_flows = true;                       ///< net.netfilter.nf_conntrack_events
  std::int64_t silent_flow_s = 432'000;          ///< net.netfilter.nf_conntrack_tcp_timeout_established
  Firewall firewall;                             ///< without our own table, and dormant ones
  std::map<std::string, Interface> interfaces;   ///< by name; none: not known
  std::vector<Route> routes;                     ///< but default ones and those to nowhere
  std::set<Port> listening;                      ///< where something on this host hears more than lo
  system::BootPath boot;                         ///< of the boot file that is there
  std::map<std::string, std::string> run_faults; ///< why the runner cannot start a command, by its path
};

/// Asks the kernel, only for what some enabled door of `config` makes worth knowing.
HostFacts look_at_host(const Config& config);

/// Of /proc/net/route and /proc/net/ipv6_route: adds routes, and marks the interfaces of default ones.
void read_routes4(std::istream& text, HostFacts& facts);
void read_routes6(std::istream& text, HostFacts& facts);
/// /proc/net/tcp, tcp6, udp or udp6 (proc_net_tcp.txt of the kernel's documentation).
void read_listeners(std::istream& text, Protocol protocol, HostFacts& facts);

} // namespace knock::host
