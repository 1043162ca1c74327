// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/own_addresses.hpp"

#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace knock::netlink {

Result<OwnAddresses> OwnAddresses::open() {
  auto changes = NetlinkSocket::open(NETLINK_ROUTE, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
  if (!changes) return tl::unexpected(changes.error());
  OwnAddresses own(std::move(*changes));
  own.look();
  return own;
}

void OwnAddresses::drain() {
  for (;;) {
    const auto datagram = changes_.receive();
    if (!datagram || !*datagram) break; // an overrun is a change too
  }
  look();
}

void OwnAddresses::look() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return;
  addresses_.clear();
  for (const auto* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr) continue;
    Address own;
    if (at->ifa_addr->sa_family == AF_INET) {
      const auto* ip = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      std::memcpy(own.octets.data(), &ip->sin_addr, sizeof ip->sin_addr);
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* ip = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      own.family = Family::ipv6;
      std::memcpy(own.octets.data(), &ip->sin6_addr, sizeof ip->sin6_addr);
    } else {
      continue;
    }
    addresses_.insert(own);
  }
  ::freeifaddrs(list);
}

} // namespace knock::netlink
