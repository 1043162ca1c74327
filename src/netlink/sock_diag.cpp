// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/sock_diag.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>

#include "netlink/socket.hpp"
#include "wire/sock_diag.hpp"

namespace knock::netlink {

Result<std::vector<GrantKey>> open_connections() {
  std::vector<GrantKey> peers;
  auto socket = NetlinkSocket::open(NETLINK_SOCK_DIAG);
  if (!socket) return tl::unexpected(socket.error());
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto code = socket->dump(wire::encode_connection_dump(family, socket->next_sequence()),
                                   [&](const nlmsghdr* message) {
                                     if (auto peer = wire::parse_connection(message)) peers.push_back(*peer);
                                   });
    if (!code) return tl::unexpected(code.error());
    if (*code != 0 && *code != EINTR && *code != ENOENT)
      return tl::unexpected(system::system_error("list open connections", *code, ""));
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

} // namespace knock::netlink
