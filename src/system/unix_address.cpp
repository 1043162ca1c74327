// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unix_address.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace knock::system {

std::optional<sockaddr_un> unix_address(std::string_view path) {
  sockaddr_un address{AF_UNIX, {}};
  errno = ENAMETOOLONG;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

} // namespace knock::system
