// SPDX-License-Identifier: GPL-2.0-or-later
/// What knockctl does, verb by verb: a file each in this room.
///
/// In:     the command line.   Out: text or JSON lines; returns the exit code.
/// Source: knockctl(1); what is typed: knock/verbs.hpp.
#pragma once

#include <vector>

#include <knock/command_line.hpp>
#include <knock/config.hpp>

namespace knock::ctl {

int status(const CommandLine& given);
int wait(const CommandLine& given);
int open(const CommandLine& given);
int close(const CommandLine& given);
int reload(const CommandLine& given);
int confirm(const CommandLine& given);
/// off and on
int off_on(const CommandLine& given);
int save(const CommandLine& given);
/// `look` adds what on this host stands in the way of the doors.
int check(const CommandLine& given, std::vector<Finding> (*look)(const Config&));
int print_template(const CommandLine& given);

} // namespace knock::ctl
