// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/port.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <knock/limits.hpp>

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

std::optional<PortRange> parse_port_range(std::string_view text) {
  const auto dash = std::min(text.find('-'), text.size());
  const auto first = parse_port(text.substr(0, dash));
  if (!first || dash == text.size()) return first ? std::optional(PortRange{*first, *first}) : std::nullopt;
  const auto last = parse_port(fmt::format("{}/{}", to_string(first->protocol), text.substr(dash + 1)));
  return last && *first <= *last ? std::optional(PortRange{*first, *last}) : std::nullopt;
}

std::string to_string(const PortRange& range) {
  auto text = to_string(range.first);
  return range.first == range.last ? text : fmt::format("{}-{}", text, range.last.number);
}

std::vector<PortRange> in_rows(const std::vector<Port>& ports) {
  std::vector<PortRange> rows;
  for (std::size_t at = 0; at < ports.size();) {
    std::size_t end = at + 1; // behind the row
    while (end < ports.size() && ports[end].protocol == ports[at].protocol &&
           ports[end].number - ports[at].number == static_cast<int>(end - at))
      ++end;
    if (end - at > kMaxPorts)
      rows.push_back({ports[at], ports[end - 1]});
    else
      for (auto one = at; one < end; ++one) rows.push_back({ports[one], ports[one]});
    at = end;
  }
  return rows;
}

} // namespace knock
