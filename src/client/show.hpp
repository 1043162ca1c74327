// SPDX-License-Identifier: GPL-2.0-or-later
/// Show: what all verbs of knockgate print alike.
#pragma once

#include <string>
#include <string_view>

#include <knock/client_line.hpp>
#include <knock/control.hpp>

namespace knock::client {

/// On stderr, `knockgate: ` in front, a line for each hint; with --json on stdout. Returns the exit code.
int fail(const ClientLine& given, const Failure& failure);
/// On stderr; that its reader is gone is no error.
void say(std::string_view text);
/// A failure on stderr, while the program goes on.
void warn(const Failure& failure);
/// With -v.
void tell(const ClientLine& given, const std::string& text);

Failure denied(std::string text, std::string advice);
Failure refused(std::string text, std::string advice);

} // namespace knock::client
