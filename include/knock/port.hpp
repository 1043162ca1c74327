// SPDX-License-Identifier: GPL-2.0-or-later
/// Port: protocol and number, "tcp/22". What a door opens, what a step knocks at.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knock {

/// IANA protocol numbers of what we read.
enum class Protocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17, icmp6 = 58 };

struct Port {
  Protocol protocol = Protocol::tcp;
  std::uint16_t number = 0;
  auto operator<=>(const Port&) const = default;
};

/// Of the one element of a grant that opens no port: its end is kept by the kernel all the same.
inline constexpr Port kNoPort{Protocol{0}, 0};

/// Ports in a row, both ends among them.
struct PortRange {
  Port first;
  Port last; ///< of the same protocol
  auto operator<=>(const PortRange&) const = default;
};
constexpr bool holds(const PortRange& range, Port port) {
  return range.first <= port && port <= range.last;
}
constexpr std::size_t size_of(const PortRange& range) {
  return std::size_t{1} + range.last.number - range.first.number;
}

/// "tcp/22" or "udp/53", 1..65535, no leading zeros. Returns nothing for anything else.
std::optional<Port> parse_port(std::string_view text);
std::string to_string(Port port);
std::string_view to_string(Protocol protocol);
/// "udp/8000-8010"; "tcp/22", which is one of a single port.
std::optional<PortRange> parse_port_range(std::string_view text);
std::string to_string(const PortRange& range);

/// Sorted ports as a person reads them: those in a row as one range, where it is one of more than kMaxPorts.
std::vector<PortRange> in_rows(const std::vector<Port>& ports);

} // namespace knock
