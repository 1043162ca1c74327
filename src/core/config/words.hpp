// SPDX-License-Identifier: GPL-2.0-or-later
/// Words: the small languages inside config strings, and how findings spell things.
///
/// In:     a string's text.   Out: its value, or nothing; the caller knows the place and complains.
/// Source: knockgate.toml(5).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <knock/port.hpp>
#include <knock/time.hpp>

#include "tree.hpp"

namespace knock::grammar {

/// "208KiB", "8MiB". Returns bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// A whole number without sign or leading zero, that is all of `text`.
std::optional<std::uint64_t> parse_count(std::string_view text);

/// Door, user and device names: `[a-z0-9][a-z0-9-]{0,30}`.
bool is_name(std::string_view text);

/// In the greatest unit that divides it: "10s", "2m".
std::string duration_text(Millis span);
/// FILE:LINE:COL
std::string to_string(const Spot& spot);
/// In quotes, on one line, at most 60 bytes of it.
std::string in_quotes(std::string_view text);
/// Bytes that could end or redraw a line become \xNN.
std::string one_line(std::string_view text);

} // namespace knock::grammar
