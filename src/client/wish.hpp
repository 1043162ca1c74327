// SPDX-License-Identifier: GPL-2.0-or-later
/// Wish: what the command line asks of a door.
#pragma once

#include "client/opener.hpp"
#include "client/session.hpp"
#include "client/state_file.hpp"

namespace knock::client {

/// Errors (usage): what neither door nor profile can do.
tl::expected<OpenWish, Failure> wish_of(const Session& session);

/// All ways of a session, as a knock takes them.
std::vector<std::size_t> all_ways(const Session& session);
/// Closes what this device has open of the door, for each address of ours, also what other processes of this profile opened.
/// Returns how many packets went out.
std::size_t send_close(system::EventLoop& loop, Session session);
/// Its hold on the door. Where no file can be written no other process is known: it says so.
Hold hold_door(const Session& session);

} // namespace knock::client
