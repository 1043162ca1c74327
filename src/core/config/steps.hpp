// SPDX-License-Identifier: GPL-2.0-or-later
/// Steps: the entries of `knock` and `close_knock`.
///
/// In:     an entry's text.   Out: its value, or nothing; then what was probably meant.
/// Source: knockgate.toml(5), KNOCKS.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <knock/step.hpp>

namespace knock::grammar {

/// An entry: a packet, as often as it says, or a pause.
struct WrittenStep {
  std::optional<PacketKind> kind; ///< absent: a pause
  unsigned count = 1;
  Millis pause{0};
};
std::optional<WrittenStep> parse_step(std::string_view text);

/// What to write instead of `text`, which is no entry.
std::string step_advice(std::string_view text);

} // namespace knock::grammar
