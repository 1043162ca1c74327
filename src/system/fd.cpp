// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/fd.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace knock::system {

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Error system_error(std::string what, std::string advice) {
  return system_error(std::move(what), errno, std::move(advice));
}

Error system_error(std::string what, int code, std::string advice) {
  return {what + ": " + std::generic_category().message(code), code, std::move(advice)};
}

} // namespace knock::system
