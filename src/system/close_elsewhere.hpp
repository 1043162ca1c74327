// SPDX-License-Identifier: GPL-2.0-or-later
/// close_elsewhere: closes descriptors whose close may wait for as long as another process likes.
///
/// A client can queue descriptors in its socket (SCM_RIGHTS). The last close of one, say of a TCP socket with
/// SO_LINGER, waits; so does the close of a socket that still holds it. A process that ends does not wait for
/// it (net/ipv4/af_inet.c, inet_release: PF_EXITING): the last close is left to one.
/// Source: unix(7), socket(7).
#pragma once

#include <vector>

#include "system/fd.hpp"

namespace knock::system {

/// Costs a fork. Without one, or without a pipe, they are closed here.
void close_elsewhere(std::vector<Fd> descriptors);

} // namespace knock::system
