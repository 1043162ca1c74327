// SPDX-License-Identifier: GPL-2.0-or-later
/// Remove: takes a user or a device out, whatever else is wrong, and says what that ended.
#pragma once

#include <string>

#include <knock/command_line.hpp>

namespace knock::ctl {

/// `label`: "alice", with all devices, or "alice/laptop". Returns the exit code.
int remove_from_users(const CommandLine& given, const std::string& label);

} // namespace knock::ctl
