// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/cut.hpp"

#include <linux/netlink.h>

#include <cerrno>

#include "wire/conntrack.hpp"
#include "wire/sock_diag.hpp"

namespace knock::netlink {

Result<Cut> Cut::open() {
  auto sockets = NetlinkSocket::open(NETLINK_SOCK_DIAG);
  if (!sockets) return tl::unexpected(sockets.error());
  auto conntrack = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!conntrack) return tl::unexpected(conntrack.error());
  return Cut(std::move(*sockets), std::move(*conntrack));
}

Result<bool> Cut::end(const Flow& flow) {
  if (flow.port.protocol == Protocol::tcp) {
    const auto code = sockets_.request(wire::encode_connection_end(flow, sockets_.next_sequence()));
    if (!code) return tl::unexpected(code.error());
    if (*code == 0) return true;
    if (*code == EPERM)
      return tl::unexpected(system::system_error("end a connection", EPERM, "run it with sudo"));
    // ENOENT: not of this host; EOPNOTSUPP: a kernel without CONFIG_INET_DIAG_DESTROY.
  }
  const auto code = conntrack_.request(wire::encode_flow_delete(flow, conntrack_.next_sequence()));
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 && *code != ENOENT)
    return tl::unexpected(system::system_error("end a connection", *code, "run it with sudo"));
  return *code == 0;
}

} // namespace knock::netlink
