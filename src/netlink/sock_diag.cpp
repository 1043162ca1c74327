// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/sock_diag.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>

#include "netlink/socket.hpp"
#include "wire/sock_diag.hpp"

namespace knock::netlink {

Result<std::vector<Flow>> open_connections() {
  std::vector<Flow> found;
  auto socket = NetlinkSocket::open(NETLINK_SOCK_DIAG);
  if (!socket) return tl::unexpected(socket.error());
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto code = socket->dump(wire::encode_connection_dump(family, socket->next_sequence()),
                                   [&](const nlmsghdr* message) {
                                     if (auto one = wire::parse_connection(message)) found.push_back(*one);
                                   });
    if (!code) return tl::unexpected(code.error());
    if (*code != 0 && *code != EINTR && *code != ENOENT)
      return tl::unexpected(system::system_error("list open connections", *code, ""));
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

} // namespace knock::netlink
