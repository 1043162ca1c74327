// SPDX-License-Identifier: GPL-2.0-or-later
/// LineDoor: a door's text in a line.
///
///   NAME PORTS [for=T] [max=T] [cut] [uses] [run] [args=N] [at=HOST,..] [knock=STEP,..]
///   PORTS with commas, "any", or "-" for none. In a STEP the blanks are `_`; in its word `_`, a comma and a blank are \xNN.
#pragma once

#include <knock/line.hpp>

namespace knock::line {

tl::expected<LineDoor, LineFault> parse_door(std::string_view text);
std::string text_of(const LineDoor& door);

/// The same step, as it comes back from a line.
std::string step_as_read(std::string_view step);

/// A host's name or address, as a client may print it and put it into a command: [A-Za-z0-9._:%-], no - in front.
bool is_host(std::string_view text);

/// `text` up to the first `end`, which is taken off it, too.
std::string_view take_until(std::string_view& text, char end);

} // namespace knock::line
