// SPDX-License-Identifier: GPL-2.0-or-later
/// Log: one line an event, to stderr; `<N>` prefixes when that is the journal.
///
/// Threads: one line is one write.
/// Nothing is ever logged per hostile packet; foreign bytes are escaped by `quoted`.
#pragma once

#include <string>
#include <string_view>

#include <knock/config.hpp>

namespace knock::system {

/// Lines below this level are dropped.
void set_log_level(LogLevel level);
void log_line(LogLevel level, std::string_view text);

/// `text` with \xNN for a backslash and for every byte outside 0x20..0x7e.
std::string escaped(std::string_view text);
/// `value` as it is, or in quotes with escapes when it has a space or a byte outside 0x21..0x7e.
std::string quoted(std::string_view value);

} // namespace knock::system
