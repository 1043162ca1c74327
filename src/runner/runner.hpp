// SPDX-License-Identifier: GPL-2.0-or-later
/// Runner: starts the commands of doors, as a user with no rights.
///
/// In:      RunRequest datagrams of the keeper.   Out: processes, and a log line for each that ended.
/// A command has a session and process group of its own, a clean environment, limits, and a time; with the
/// time, or with its first process, everything in its group ends. No shell is ever between. Started by the
/// keeper when that is root (connected, descriptor 3), else by systemd (a listening socket). Ends with the
/// last keeper that was connected, and so do its commands.
#pragma once

namespace knock::runner {

inline constexpr int kRunnerPair = 3;

/// Returns the exit status. Errors: as root, or with a capability, it does not begin.
int run_runner();

} // namespace knock::runner
