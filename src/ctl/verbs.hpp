// SPDX-License-Identifier: GPL-2.0-or-later
/// What knockctl does, verb by verb: a file each in this room.
///
/// In:     the command line.   Out: text or JSON lines; returns the exit code.
/// Source: knockctl(1); what is typed: knock/verbs.hpp.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <knock/command_line.hpp>
#include <knock/config.hpp>

namespace knock::ctl {

/// What on this host stands in the way of the doors.
using Look = std::vector<Finding> (*)(const Config&);

int status(const CommandLine& given, Look look);
int wait(const CommandLine& given);
int open(const CommandLine& given);
int close(const CommandLine& given);
int reload(const CommandLine& given);
int confirm(const CommandLine& given);
/// off and on
int off_on(const CommandLine& given);
int save(const CommandLine& given);
int check(const CommandLine& given, Look look);
// The lists: from the daemon. What changes or shows keys: root, with users.d and kn1.key.
int user(const CommandLine& given);
int device(const CommandLine& given);
int invite(const CommandLine& given);
int key(const CommandLine& given);
int clock(const CommandLine& given);
int replay(const CommandLine& given);
int print_template(const CommandLine& given);
/// For shells: what may stand in place of the last word, one a line (knock/completion.hpp).
int complete(std::span<const std::string_view> words);

} // namespace knock::ctl
