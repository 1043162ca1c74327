// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/address.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <knock/port.hpp>

namespace knock {
namespace {

constexpr int kGroups = 8; // of 16 bits in an IPv6 address

/// A number of at most `digits` digits that is the whole of `text`.
std::optional<std::uint32_t> parse_number(std::string_view text, std::size_t digits, int base) {
  std::uint32_t value = 0;
  if (text.empty() || text.size() > digits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool parse_ipv4(std::string_view text, std::span<std::uint8_t, 4> out) {
  for (std::size_t i = 0; i < 4; ++i) {
    const auto dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return false;
    const auto word = text.substr(0, dot);
    const auto value = parse_number(word, 3, 10);
    // 010 is eight to some readers and ten to others
    if (!value || *value > 255 || (word.size() > 1 && word[0] == '0')) return false;
    out[i] = static_cast<std::uint8_t>(*value);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return text.empty();
}

/// The groups of one side of "::"; an embedded IPv4 tail counts as two. Returns how many, -1 when malformed.
int parse_groups(std::string_view text, bool tail_allowed, std::span<std::uint16_t, kGroups> out) {
  int count = 0;
  while (!text.empty()) {
    const auto colon = std::min(text.find(':'), text.size());
    const auto word = text.substr(0, colon);
    const bool last = colon == text.size();
    if (last && tail_allowed && word.find('.') != std::string_view::npos) {
      std::array<std::uint8_t, 4> tail{};
      if (count > kGroups - 2 || !parse_ipv4(word, tail)) return -1;
      out[static_cast<std::size_t>(count++)] = static_cast<std::uint16_t>(tail[0] << 8U | tail[1]);
      out[static_cast<std::size_t>(count++)] = static_cast<std::uint16_t>(tail[2] << 8U | tail[3]);
      return count;
    }
    const auto value = parse_number(word, 4, 16);
    if (!value || count == kGroups) return -1;
    out[static_cast<std::size_t>(count++)] = static_cast<std::uint16_t>(*value);
    if (last) return count;
    text.remove_prefix(colon + 1);
    if (text.empty()) return -1; // a colon with nothing behind it
  }
  return count;
}

std::optional<Address> parse_ipv6(std::string_view text) {
  std::array<std::uint16_t, kGroups> head{};
  std::array<std::uint16_t, kGroups> tail{};
  const auto gap = text.find("::");
  const int before = parse_groups(text.substr(0, gap), gap == std::string_view::npos, head);
  int after = 0;
  if (gap != std::string_view::npos) after = parse_groups(text.substr(gap + 2), true, tail);
  if (before < 0 || after < 0) return std::nullopt;
  if (gap == std::string_view::npos ? before != kGroups : before + after > kGroups - 1) return std::nullopt;
  std::copy_n(tail.begin(), after, head.end() - after);
  Address address{Family::ipv6, {}};
  for (std::size_t i = 0; i < kGroups; ++i) {
    address.octets[2 * i] = static_cast<std::uint8_t>(head[i] >> 8U);
    address.octets[2 * i + 1] = static_cast<std::uint8_t>(head[i]);
  }
  return address;
}

std::string ipv6_text(const Address& address) {
  std::array<unsigned, kGroups> groups{};
  for (std::size_t i = 0; i < kGroups; ++i)
    groups[i] = static_cast<unsigned>(address.octets[2 * i] << 8U | address.octets[2 * i + 1]);
  // RFC 5952 4.2: the first of the longest runs of two or more zero groups becomes "::"
  std::size_t best = kGroups;
  std::size_t best_length = 1;
  for (std::size_t i = 0; i < kGroups; ++i) {
    std::size_t length = 0;
    while (i + length < kGroups && groups[i + length] == 0) ++length;
    if (length <= best_length) continue;
    best = i;
    best_length = length;
  }
  std::string text;
  for (std::size_t i = 0; i < kGroups; ++i) {
    if (i == best) {
      text += "::";
      i += best_length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    text += fmt::format("{:x}", groups[i]);
  }
  return text;
}

} // namespace

std::optional<Address> parse_address(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return parse_ipv6(text);
  Address address;
  if (!parse_ipv4(text, std::span(address.octets).first<4>())) return std::nullopt;
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
    length = parse_number(digits, 3, 10);
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
  if (address.family == Family::ipv6) return ipv6_text(address);
  const auto& o = address.octets;
  return fmt::format("{}.{}.{}.{}", o[0], o[1], o[2], o[3]);
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

bool grantable(const Address& address) {
  const auto& o = address.octets;
  if (address.family == Family::ipv4)
    return o[0] != 0 && o[0] != 127 && o[0] < 224 && !(o[0] == 169 && o[1] == 254);
  if (o[0] == 0xff || (o[0] == 0xfe && (o[1] & 0xc0U) == 0x80)) return false;
  // ::/8 holds the unspecified, loopback, v4-mapped and v4-compatible; NAT64's 64:ff9b:: is a real source
  return o[0] != 0 || o[1] == 0x64;
}

} // namespace knock
