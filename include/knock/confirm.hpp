// SPDX-License-Identifier: GPL-2.0-or-later
/// Unconfirmed: ports that `reload --confirm` guards only until somebody says it works.
///
/// The kernel unguards them by itself (elements with a timeout). This record outlives us, so that a daemon
/// that restarts meanwhile, or after a reboot, does not guard for good what nobody confirmed.
/// State file, one line a port: `tcp/22 DEADLINE BOOT`, the deadline in milliseconds of CLOCK_MONOTONIC.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <knock/ruleset.hpp>
#include <knock/time.hpp>

namespace knock {

/// Each unconfirmed port and when the kernel lets it go.
using Unconfirmed = std::map<Port, Instant>;

std::string encode_unconfirmed(const Unconfirmed& ports, std::string_view boot);
/// Deadlines of another boot read as long past. Returns nothing for a file that is not ours.
std::optional<Unconfirmed> parse_unconfirmed(std::string_view text, std::string_view boot);

/// `sets` as they are to be loaded now: an unconfirmed port with its time left, an ended one not at all.
StaticSets with_unconfirmed(StaticSets sets, const Unconfirmed& ports, Instant now);

} // namespace knock
