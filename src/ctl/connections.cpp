// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/connections.hpp"

#include "netlink/conntrack.hpp"
#include "netlink/cut.hpp"
#include "netlink/own_addresses.hpp"
#include "netlink/sock_diag.hpp"
#include "netlink/way_back.hpp"

namespace knock::ctl {

Result<std::vector<Lasting>> lasting_connections(const Config& config, const Status& status) {
  auto conntrack = netlink::Conntrack::open();
  if (!conntrack) return tl::unexpected(conntrack.error());
  auto flows = conntrack->flows();
  if (!flows) return tl::unexpected(flows.error());
  const auto connections = netlink::open_connections();
  if (!connections) return tl::unexpected(connections.error());
  add_unknown(*flows, *connections);
  const auto own = netlink::OwnAddresses::open();
  if (!own) return tl::unexpected(own.error());
  auto way_back = netlink::WayBack::open();
  if (!way_back) return tl::unexpected(way_back.error());
  const auto is_trusted = [&](const Address& source) {
    return trusts_interface(config, way_back->to(source));
  };
  return lasting(*flows, {config, status.grants, own->all(), is_trusted});
}

Result<std::size_t> end_connections(const std::vector<Lasting>& all) {
  auto cut = netlink::Cut::open();
  if (!cut) return tl::unexpected(cut.error());
  std::size_t ended = 0;
  for (const auto& one : all) {
    const auto done = cut->end(one.flow);
    if (!done) return tl::unexpected(done.error());
    if (*done) ++ended;
  }
  return ended;
}

} // namespace knock::ctl
