// SPDX-License-Identifier: GPL-2.0-or-later
/// What ssh needs in its configuration to come through a door.
///
/// Source: ssh_config(5) ProxyCommand: no shell finds a program by another PATH, so the path is whole.
#pragma once

#include <string>

#include <knock/profile.hpp>

namespace knock::client {

/// A Host block for each host whose port 22 a door opens: its own names, and those behind it. Empty: there is none.
std::string ssh_config(const Profile& profile);

} // namespace knock::client
