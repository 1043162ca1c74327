// SPDX-License-Identifier: GPL-2.0-or-later
/// Boot file: what closes guarded ports at boot, before any daemon runs.
///
/// Root writes it from root's own reading of the configuration. The daemon's user may be in other hands, and
/// what root writes is read by root's programs: so no path and no text of it comes from the daemon, and
/// nothing on the way to it may be a link, or another user's to write.
#pragma once

#include <string>

#include <knock/config.hpp>
#include <knock/control.hpp>

namespace knock::ctl {

/// Asks the daemon at `socket` what is on trial, tries the text with nft, and replaces the file whole;
/// without anything to guard the file is removed. While off it is removed as well when the configuration is
/// broken or not the one that runs; its place is then that of knockgate.toml alone, or the default one. The
/// reply says what to tell the admin, a missing include line too. When no daemon answers, the file guards at most the
/// ports that it guarded before.
/// `beside`: it is done beside what was asked for, and a file that stays the same is not worth a word.
/// Errors: as `ask` and `load_config`; another configuration runs; what nft refused; EACCES, ENOSPC.
Reply save_boot_file(const std::string& socket, const std::string& config, bool beside = false);
/// The configuration as it is read; nothing of it unless root alone can have written it.
ParsedConfig roots_config(const std::string& config);
/// For off: the boot file that the configuration names goes, or the default one when it cannot be used.
Reply remove_boot_file(const std::string& config, const ParsedConfig& parsed);

} // namespace knock::ctl
