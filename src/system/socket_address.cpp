// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/socket_address.hpp"

#include <netinet/in.h>

#include <cstring>

namespace knock::system {

SocketAddress::SocketAddress(const Address& address, std::uint16_t port) {
  if (address.family == Family::ipv4) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    std::memcpy(&to.sin_addr, address.octets.data(), sizeof to.sin_addr);
    std::memcpy(&storage, &to, size = sizeof to);
  } else {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    std::memcpy(&to.sin6_addr, address.octets.data(), sizeof to.sin6_addr);
    std::memcpy(&storage, &to, size = sizeof to);
  }
}

std::optional<Address> address_of(const sockaddr& from) {
  Address address;
  if (from.sa_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &from, sizeof four);
    std::memcpy(address.octets.data(), &four.sin_addr, sizeof four.sin_addr);
    return address;
  }
  if (from.sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 six{};
  std::memcpy(&six, &from, sizeof six);
  if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) != 0) { // what is sent there goes out as IPv4
    std::memcpy(address.octets.data(), six.sin6_addr.s6_addr + 12, 4);
    return address;
  }
  address.family = Family::ipv6;
  std::memcpy(address.octets.data(), &six.sin6_addr, sizeof six.sin6_addr);
  return address;
}

int family_of(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

} // namespace knock::system
