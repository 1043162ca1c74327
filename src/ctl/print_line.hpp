// SPDX-License-Identifier: GPL-2.0-or-later
/// Print line: what the admin sees of a device that shall join: a heading, its line, a QR code where there is room.
#pragma once

#include <string>

#include <knock/command_line.hpp>
#include <knock/config.hpp>

namespace knock::ctl {

/// The device as `config` has it. Returns the exit code.
int print_line(const CommandLine& given, const Config& config, const Device& device);
int print_knock_line(const CommandLine& given, const Config& config, const Door& door);

/// A QR code of `line` as a terminal shows it; empty: it does not fit. The text is as secret as the line.
std::string qr_text(std::string_view line);

} // namespace knock::ctl
