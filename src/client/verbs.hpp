// SPDX-License-Identifier: GPL-2.0-or-later
/// What knockgate does, verb by verb: a file each in this room.
///
/// In:     the command line.   Out: text, or JSON lines; returns the exit code.
/// Source: knockgate(1); what is typed: knock/client_verbs.hpp.
#pragma once

#include <span>
#include <string_view>

#include <knock/client_line.hpp>

namespace knock::client {

int join(const ClientLine& given);
int open(const ClientLine& given);
int connect(const ClientLine& given);
int keep(const ClientLine& given);
int close(const ClientLine& given);
int list(const ClientLine& given);
int status(const ClientLine& given);
int knock(const ClientLine& given);
/// For shells: what may stand in place of the last word, one a line.
int complete(std::span<const std::string_view> words);

} // namespace knock::client
