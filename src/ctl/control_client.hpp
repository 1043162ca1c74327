// SPDX-License-Identifier: GPL-2.0-or-later
/// Control client: one request to the daemon, and its whole reply.
#pragma once

#include <string>

#include <knock/control.hpp>
#include <knock/time.hpp>

namespace knock::ctl {

/// Asks the daemon at `socket`; waits at most `patience` to be accepted, to be heard, and for each datagram
/// of the reply. A daemon that is away or silent is a reply of exit 69, one without a place for us of exit
/// 75, a socket that is not ours to use of exit 77. So is, to root, a socket where neither root nor the
/// daemon's user listens: root acts on the answer.
Reply ask(const std::string& socket, const Request& request, Millis patience = Seconds{30});

} // namespace knock::ctl
