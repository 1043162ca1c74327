// SPDX-License-Identifier: GPL-2.0-or-later
/// Flags: those of TCP by their names, "syn+fin".
///
/// Source: RFC 9293 3.1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace knock {

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;
inline constexpr std::uint8_t kTcpSix = 0x3f; ///< those that a step may name: ECN's two are set on the way

/// Some of the six, each once, with + between them. Returns nothing for anything else.
std::optional<std::uint8_t> parse_flags(std::string_view text);
std::string flags_text(std::uint8_t flags);

} // namespace knock
