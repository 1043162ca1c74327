// SPDX-License-Identifier: GPL-2.0-or-later
/// Sandbox: what a process of ours gives up, for good.
///
/// The engine reads packets of strangers. An attacker who finds a bug in it holds a process that can do nothing
/// but what an engine does: take reports, and ask for grants that the keeper judges.
/// Errors:  only what must not be missing (capabilities); what an older kernel lacks is returned as text to log.
/// Source:  capabilities(7), seccomp(2), setrlimit(2), proc(5), linux/landlock.h (ABI 1: Linux 5.13, 6: 6.12).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <knock/result.hpp>

namespace knock::system {

/// No core dump, no ptrace and no look into /proc/PID by processes of our own user.
Result<void> forbid_inspection();

/// Keeps of what this process holds only `capabilities` (numbers of linux/capability.h), none of them for a
/// program it may execute. Errors: EPERM when more are held and they cannot be dropped.
Result<void> keep_capabilities(std::initializer_list<int> capabilities);

/// What this kernel could not do, one line each; empty when all of it holds.
using Gaps = std::vector<std::string>;

/// The kernel takes this process before the one that started it when memory runs out. Requires: nothing is
/// confined yet.
Gaps volunteer_for_oom();
/// No process, no file larger than nothing, no core dump, few descriptors, and `headroom` bytes of memory
/// more than are mapped now (not under a sanitizer, which maps terabytes). Requires: as above.
Gaps limit_resources(std::uint64_t headroom);

/// Landlock: no file, no TCP port, no signal to others. Requires: no_new_privs, or CAP_SYS_ADMIN.
Gaps forbid_files();
/// seccomp: the system calls of an engine; any other one kills the process. Sets no_new_privs.
Gaps allow_engine_calls();

/// All of it, in the order in which one needs the other. Errors: capabilities that cannot be dropped.
Result<Gaps> confine_engine();

} // namespace knock::system
