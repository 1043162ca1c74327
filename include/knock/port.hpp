// SPDX-License-Identifier: GPL-2.0-or-later
/// Port: protocol and number, "tcp/22". What a door opens, what a step knocks at.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

/// "tcp/22" or "udp/53", 1..65535, no leading zeros. Returns nothing for anything else.
std::optional<Port> parse_port(std::string_view text);
std::string to_string(Port port);
std::string_view to_string(Protocol protocol);

} // namespace knock
