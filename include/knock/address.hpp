// SPDX-License-Identifier: GPL-2.0-or-later
/// Address, Prefix: who knocks, and sets of them. IPv4 and IPv6 as plain comparable values.
///
/// Source: RFC 4291 (text form and special ranges), RFC 5952 (canonical text), RFC 6890 (special purposes);
///         inet_pton(3) and inet_ntop(3), which ask the system nothing.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace knock {

enum class Family : std::uint8_t { ipv4 = 4, ipv6 = 6 };

/// One host. Octets in network order; IPv4 uses the first four, the rest are zero.
struct Address {
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> octets{};

  [[nodiscard]] std::span<const std::uint8_t> bytes() const {
    return {octets.data(), family == Family::ipv4 ? 4U : 16U};
  }
  auto operator<=>(const Address&) const = default;
};

/// An address and how many leading bits of it count.
struct Prefix {
  Address address;
  std::uint8_t length = 0;

  [[nodiscard]] bool contains(const Address& other) const;
  auto operator<=>(const Prefix&) const = default;
};

/// A port of one host: "192.0.2.20:443", "[2001:db8::20]:443".
struct Target {
  Address address;
  std::uint16_t port = 0;
  auto operator<=>(const Target&) const = default;
};

/// "203.0.113.9", "2001:db8::1"; nothing else (no zone, no port, no leading zeros as octal).
std::optional<Address> parse_address(std::string_view text);
/// "192.0.2.0/24", or an address alone for the single host. Host bits that are set are refused.
std::optional<Prefix> parse_prefix(std::string_view text);

std::optional<Target> parse_target(std::string_view text);

std::string to_string(const Address& address);
std::string to_string(const Target& target);
std::string to_string(const Prefix& prefix);

/// `address` with all but the first `length` bits cleared.
Address masked(const Address& address, std::uint8_t length);
/// The source as attempts and limits see it: IPv4 itself, IPv6 its /64.
Address subnet_of(const Address& address);
/// fe80::/10, 169.254.0.0/16: a host of one link, which the address does not name.
bool is_link_local(const Address& address);
/// False for what can never be a peer from elsewhere: unspecified, loopback, link-local, multicast, reserved,
/// broadcast, v4-mapped (RFC 6890).
bool grantable(const Address& address);

} // namespace knock
