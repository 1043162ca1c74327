// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/address.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <knock/port.hpp>

namespace knock {
namespace {

/// A number of at most `digits` digits that is the whole of `text`.
std::optional<std::uint32_t> parse_number(std::string_view text, std::size_t digits) {
  std::uint32_t value = 0;
  if (text.empty() || text.size() > digits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int c_family(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

} // namespace

std::optional<Address> parse_address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN>
      ended{}; // by a zero, at which inet_pton stops: `text` may hold one of its own
  if (text.size() >= ended.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), ended.begin());
  Address address{text.find(':') == std::string_view::npos ? Family::ipv4 : Family::ipv6, {}};
  if (::inet_pton(c_family(address.family), ended.data(), address.octets.data()) != 1) return std::nullopt;
  return address;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  const std::uint32_t most = address->family == Family::ipv4 ? 32 : 128;
  auto length = std::optional(most);
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    length = parse_number(digits, 3);
    if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  }
  if (!length || *length > most) return std::nullopt;
  const Prefix prefix{*address, static_cast<std::uint8_t>(*length)};
  if (masked(*address, prefix.length) != *address) return std::nullopt;
  return prefix;
}

std::optional<Target> parse_target(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(fmt::format("tcp/{}", text.substr(colon + 1)));
  auto host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_address(host);
  if (!address || !port || bracketed != (address->family == Family::ipv6)) return std::nullopt;
  return Target{*address, port->number};
}

std::string to_string(const Target& target) {
  const bool bare = target.address.family == Family::ipv4;
  return fmt::format("{}{}{}:{}", bare ? "" : "[", to_string(target.address), bare ? "" : "]", target.port);
}

std::string to_string(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(c_family(address.family), address.octets.data(), text.data(), text.size());
  return text.data();
}

std::string to_string(const Prefix& prefix) {
  return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

Address masked(const Address& address, std::uint8_t length) {
  Address result = address;
  for (std::size_t i = 0; i < result.octets.size(); ++i) {
    const auto bits = std::clamp(static_cast<int>(length) - 8 * static_cast<int>(i), 0, 8);
    result.octets[i] &= static_cast<std::uint8_t>(0xff00U >> static_cast<unsigned>(bits));
  }
  return result;
}

bool Prefix::contains(const Address& other) const {
  return other.family == address.family && masked(other, length) == address;
}

Address subnet_of(const Address& address) {
  return address.family == Family::ipv4 ? address : masked(address, 64);
}

bool is_link_local(const Address& address) {
  const auto& o = address.octets;
  return address.family == Family::ipv4 ? o[0] == 169 && o[1] == 254 : o[0] == 0xfe && (o[1] & 0xc0U) == 0x80;
}

bool grantable(const Address& address) {
  const auto& o = address.octets;
  if (is_link_local(address)) return false;
  if (address.family == Family::ipv4) return o[0] != 0 && o[0] != 127 && o[0] < 224;
  if (o[0] == 0xff) return false;
  // ::/8 holds the unspecified, loopback, v4-mapped and v4-compatible; NAT64's 64:ff9b:: is a real source
  return o[0] != 0 || o[1] == 0x64;
}

} // namespace knock
