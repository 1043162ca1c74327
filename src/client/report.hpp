// SPDX-License-Identifier: GPL-2.0-or-later
/// Report: what is printed of a door that was opened, sent to, or closed.
#pragma once

#include <string>

#include "client/opener.hpp"
#include "client/session.hpp"

namespace knock::client {

/// On a terminal, on stderr: "home: knocking at 203.0.113.1, 2001:db8:7::1 ..."
void say_knocking(const Session& session);
/// "ssh open at 203.0.113.1 for 198.51.100.7 (bound), 84 ms"; "wake sent; cannot be verified"; or JSON.
void report(const Session& session, const Order& order, const OpenDoor& door);
void report_closed(const Session& session, std::size_t packets, Millis took);

} // namespace knock::client
