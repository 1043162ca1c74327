// SPDX-License-Identifier: GPL-2.0-or-later
/// Users of the daemon: what it knows of users and devices just now.
#pragma once

#include <vector>

#include <knock/command_line.hpp>
#include <knock/users_report.hpp>

namespace knock::ctl {

/// Errors: as `ask`.
tl::expected<std::vector<UserReport>, Failure> users_of(const CommandLine& given,
                                                        Millis patience = Seconds{30});
/// The same; where no daemon answers, what the files say, to who may read them, and a word of that on stderr.
tl::expected<std::vector<UserReport>, Failure> users_or_files(const CommandLine& given);
/// Prints their list; `only`: of one user.
int list_users(const CommandLine& given, std::string_view only);

} // namespace knock::ctl
