// SPDX-License-Identifier: GPL-2.0-or-later
/// SocketAddress: an Address and a port as the socket calls take them.
///
/// Source: ip(7), ipv6(7). No zone: an address of one link alone is none of ours.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include <knock/address.hpp>

namespace knock::system {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  SocketAddress() = default;
  SocketAddress(const Address& address, std::uint16_t port);
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
/// Nothing for another family than IPv4 and IPv6.
std::optional<Address> address_of(const sockaddr& from);
/// AF_INET, AF_INET6.
int family_of(Family family);

} // namespace knock::system
