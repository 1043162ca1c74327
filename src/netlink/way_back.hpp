// SPDX-License-Identifier: GPL-2.0-or-later
/// WayBack: over which interface packets to a host go.
///
/// Source: rtnetlink(7), RTM_GETROUTE. Conntrack does not keep over which interface a connection came.
#pragma once

#include <string>

#include <knock/address.hpp>

#include "netlink/socket.hpp"

namespace knock::netlink {

class WayBack {
 public:
  static Result<WayBack> open();
  /// The name of the interface; empty: no route, or the kernel would not say.
  std::string to(const Address& host);

 private:
  explicit WayBack(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

} // namespace knock::netlink
