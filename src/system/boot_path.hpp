// SPDX-License-Identifier: GPL-2.0-or-later
/// BootPath: what systemd's files say: whether anything loads a file of rules at boot, and as which user a unit runs.
///
/// Source: nft(8), INCLUDING FILES; nftables.service, which loads /etc/nftables.conf when it is enabled; systemd.unit(5).
#pragma once

#include <string>

namespace knock::system {

/// Why boot does not load `file`; empty when it does, or when that cannot be read. `root`: "" or where a test has
/// its own /etc and /usr.
std::string why_not_loaded(const std::string& file, const std::string& root = {});
/// The user that the files of `unit` and its drop-ins name; empty when there is no such unit.
std::string unit_user(const std::string& unit, const std::string& root = {});

} // namespace knock::system
