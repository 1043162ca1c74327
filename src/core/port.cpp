// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/port.hpp>

#include <charconv>

#include <fmt/format.h>

namespace knock {

std::optional<Port> parse_port(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto name = text.substr(0, slash);
  const auto digits = text.substr(slash + 1);
  if ((name != "tcp" && name != "udp") || digits.empty() || digits[0] == '0') return std::nullopt;
  Port port{name == "tcp" ? Protocol::tcp : Protocol::udp, 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port.number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return port;
}

std::string to_string(Port port) {
  return fmt::format("{}/{}", to_string(port.protocol), port.number);
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
  case Protocol::icmp: return "icmp";
  case Protocol::tcp: return "tcp";
  case Protocol::udp: return "udp";
  case Protocol::icmp6: return "icmp6";
  }
  return "unknown";
}

} // namespace knock
