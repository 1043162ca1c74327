// SPDX-License-Identifier: GPL-2.0-or-later
/// Log: one line an event, to stderr; `<N>` prefixes when that is the journal.
///
/// Threads: one line is one write.
/// Nothing is ever logged per hostile packet; foreign bytes are escaped by `quoted`.
#pragma once

#include <string_view>

#include <knock/config.hpp>

namespace knock::system {

/// Lines below this level are dropped.
void set_log_level(LogLevel level);
void log_line(LogLevel level, std::string_view text);

} // namespace knock::system
