// SPDX-License-Identifier: GPL-2.0-or-later
/// Boot file: what closes guarded ports at boot, before any daemon runs.
///
/// The daemon says what it should hold; only root may write it.
#pragma once

#include <string>

#include <knock/control.hpp>

namespace knock::kernel {

/// Asks the daemon at `socket`, tries the text with nft, and replaces the file whole; without anything to
/// guard the file is removed. The reply says what to tell the admin, a missing include line too.
/// Errors: as `ask`; what nft refused; EACCES, ENOSPC.
Reply save_boot_file(const std::string& socket);

} // namespace knock::kernel
