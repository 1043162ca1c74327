// SPDX-License-Identifier: GPL-2.0-or-later
/// BootPath: what systemd's files say: what loads a file of rules at boot, and as which user a unit runs.
///
/// Source: nft(8), INCLUDING FILES; nftables.service, which loads /etc/nftables.conf when it is enabled; systemd.unit(5).
#pragma once

#include <string>
#include <vector>

namespace knock::system {

struct BootPath {
  std::vector<std::string> by; ///< what loads it: "knockgate-boot.service", "/etc/nftables.conf"
  std::string fault;           ///< why nothing does; empty when something does, or when that cannot be read
  std::string advice;          ///< for the fault; without one: how a reload of nftables.service leaves no gap
};
/// What loads `file` at boot. `root`: "" or where a test has its own /etc and /usr.
BootPath boot_path(const std::string& file, const std::string& root = {});
/// The user that the files of `unit` and its drop-ins name; empty when there is no such unit.
std::string unit_user(const std::string& unit, const std::string& root = {});

} // namespace knock::system
