// SPDX-License-Identifier: GPL-2.0-or-later
/// Enrol files: users.d and kn1.key as root changes them.
///
/// One at a time (a lock in users.d). All is checked with the new texts before one is written; each file is written whole
/// or not at all. Then the daemon is told.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <knock/command_line.hpp>
#include <knock/config.hpp>
#include <knock/enrol.hpp>

#include "system/fd.hpp"

namespace knock::ctl {

struct UsersPlace {
  std::string config;
  std::string directory; ///< users.d beside it
  system::Fd lock;

  [[nodiscard]] std::string path_of(const std::string& file) const { return directory + "/" + file; }
};
/// Requires root. Waits a while for another knockctl. Errors: EACCES, ENOSPC; busy.
tl::expected<UsersPlace, Failure> enter_users(const CommandLine& given);

/// A file and what it shall hold.
struct NewFile {
  std::string path;
  Sensitive text;
};

/// The configuration as it would be with these files. Errors: what is wrong with it.
tl::expected<Config, Failure> check_with(const UsersPlace& place, const std::vector<NewFile>& files);
/// Where there is no kn1.key: the keys that the daemon has as a credential, without their secrets; or none, where there
/// never was one. Errors: devices were invited with a key, and neither knockctl nor the daemon has it: the file is gone
/// (failed), or the daemon cannot be asked (unreachable).
tl::expected<void, Failure> borrow_keys(const CommandLine& given, Config& config);
/// In this order. Errors: of the first that cannot be written.
tl::expected<void, Failure> write_all(const std::vector<NewFile>& files);
tl::expected<void, Failure> remove_one(const std::string& path);

/// Where users.d keeps something that is not in a file of its own: what to tell.
Failure stands_elsewhere(const std::string& label, const Place& place);
/// What a file of users.d holds; nothing: it is not there.
std::optional<ConfigText> text_of_file(const std::string& path);
/// Where a user ("alice") or device ("alice/pad") stands, whatever else is wrong.
std::optional<Place> place_of(const UsersPlace& place, const std::string& label);

/// Has the daemon read users.d and kn1.key anew, then says what was done. Returns the exit code: 0 also where no daemon
/// runs, which is said, too.
int tell_daemon(
    const CommandLine& given, const std::function<void()>& say = [] {}, const std::string& fresh = {});

} // namespace knock::ctl
