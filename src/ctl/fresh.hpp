// SPDX-License-Identifier: GPL-2.0-or-later
/// Fresh: new random keys of routers and devices.
#pragma once

#include <knock/command_line.hpp>
#include <knock/config.hpp>

namespace knock::ctl {

constexpr std::chrono::days kClaim{7}; ///< so long an invite waits for its device

ServerKey fresh_server_key(Moment now);
/// A new kid and secret; of a device with a password, which is asked for, its psk, too. Errors: as `read_password`.
tl::expected<void, Failure> give_key(const CommandLine& given, Device& device);

} // namespace knock::ctl
