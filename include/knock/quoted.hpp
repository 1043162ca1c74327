// SPDX-License-Identifier: GPL-2.0-or-later
/// Quoted: foreign bytes made safe for one log line.
#pragma once

#include <string>
#include <string_view>

namespace knock {

/// `text` with \xNN for a backslash and for every byte outside 0x20..0x7e.
std::string escaped(std::string_view text);
/// `text` with \xNN for control bytes alone: whatever it says stays on its line, and no terminal obeys it.
std::string on_one_line(std::string_view text);
/// `value` as it is, or in quotes with escapes when it has a space or a byte outside 0x21..0x7e.
std::string in_quotes(std::string_view value);

} // namespace knock
