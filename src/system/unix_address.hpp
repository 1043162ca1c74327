// SPDX-License-Identifier: GPL-2.0-or-later
/// Where a socket of this host is: a path in the file system.
///
/// Source: unix(7).
#pragma once

#include <sys/un.h>

#include <optional>
#include <string_view>

namespace knock::system {

/// Returns nothing, with errno ENAMETOOLONG, for a path that does not fit with the NUL behind it.
std::optional<sockaddr_un> unix_address(std::string_view path);

} // namespace knock::system
