// SPDX-License-Identifier: GPL-2.0-or-later
/// OwnAddresses: which addresses this machine has. A packet that comes from one of them is forged.
///
/// Threads: one, the event loop's. Asks the kernel anew only after it said that something changed.
/// Source:  rtnetlink(7): RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR; getifaddrs(3).
#pragma once

#include <set>

#include <knock/address.hpp>

#include "netlink/socket.hpp"

namespace knock::netlink {

class OwnAddresses {
 public:
  static Result<OwnAddresses> open();
  [[nodiscard]] const std::set<Address>& all() const { return addresses_; }

  /// Readable when something changed: `drain` then looks.
  [[nodiscard]] int fd() const { return changes_.fd(); }
  void drain();

 private:
  explicit OwnAddresses(NetlinkSocket changes) : changes_(std::move(changes)) {}
  void look();

  NetlinkSocket changes_; // what they say is not read: that there are some is enough
  std::set<Address> addresses_;
};

} // namespace knock::netlink
