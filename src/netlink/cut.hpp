// SPDX-License-Identifier: GPL-2.0-or-later
/// Cut: ends connections that live.
///
/// In:     flows as their clients see them.   Out: whether each was there to be ended.
/// Threads: one. Nothing blocks.
/// Source: sock_diag(7) (SOCK_DESTROY), linux/netfilter/nfnetlink_conntrack.h (IPCTNL_MSG_CT_DELETE).
/// A connection of this host is reset: both ends know at once. A forwarded one is forgotten by conntrack: what its
/// client sends next is a packet without a grant, and its answers find no way back through the translation.
#pragma once

#include <knock/flow.hpp>

#include "netlink/socket.hpp"

namespace knock::netlink {

class Cut {
 public:
  static Result<Cut> open();
  /// False: it was over already. Errors: EPERM (CAP_NET_ADMIN).
  Result<bool> end(const Flow& flow);

 private:
  Cut(NetlinkSocket sockets, NetlinkSocket conntrack)
      : sockets_(std::move(sockets)), conntrack_(std::move(conntrack)) {}

  NetlinkSocket sockets_, conntrack_;
};

} // namespace knock::netlink
