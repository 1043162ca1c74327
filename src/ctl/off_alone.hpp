// SPDX-License-Identifier: GPL-2.0-or-later
/// Off, alone: what `knockctl off` does itself when no daemon answers.
///
/// In:     where the configuration is; it may be unreadable.   Out: what was done, and what could not be.
/// Errors: each step is tried, whatever became of the others.
/// The state directory is the daemon's user's: no link in it is followed, and nothing of it is read.
#pragma once

#include <string>

#include <knock/control.hpp>

namespace knock::ctl {

/// Deletes every table of ours (in embed mode: empties our sets), removes the boot file, and remembers off for the
/// daemon that starts next, or goes on. `why`: what asking the daemon came to.
Reply off_alone(const std::string& config, const Failure& why);

} // namespace knock::ctl
