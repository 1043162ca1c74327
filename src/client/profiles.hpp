// SPDX-License-Identifier: GPL-2.0-or-later
/// Profiles: where they lie, who may read them, how they are written.
///
/// In:     $XDG_CONFIG_HOME, $XDG_STATE_HOME, $HOME.   Out: checked values.
/// Errors: exit 77: a file with a secret that others may read or that is another's; exit 78: FILE:LINE:COL.
#pragma once

#include <string>
#include <vector>

#include <knock/client_line.hpp>
#include <knock/profile.hpp>

namespace knock::client {

struct Places {
  std::string config; ///< ".../knockgate", the directory of NAME.toml and NAME.key
  std::string state;  ///< of NAME.state
};
/// Errors: no home directory.
tl::expected<Places, Failure> places();

struct Profiles {
  std::vector<Profile> sound;
  std::vector<Failure> broken; ///< of the others, the first error of each
};
/// In the order of their names; empty where there is no directory.
Profiles load_profiles(const Places& places);

/// The profile of --profile, else of `host`. Errors: none, two, or it may be one that is broken.
tl::expected<Profile, Failure> profile_for(const ClientLine& given, const Places& places,
                                           std::string_view host);

/// All, or the one of --profile. Warns of broken ones. Errors: as profile_for.
tl::expected<Profiles, Failure> asked_profiles(const ClientLine& given, const Places& places);

/// From --key, --key-fd, or NAME.key. A profile without a device has none.
tl::expected<std::optional<ProfileKeys>, Failure> load_keys(const ClientLine& given, const Places& places,
                                                            const Profile& profile);
/// The keys with what makes a packet: the password is asked where they need one.
tl::expected<std::optional<ProfileKeys>, Failure> ready_keys(const ClientLine& given, const Places& places,
                                                             const Profile& profile);

/// Both files, 0600, each whole or not at all; the keys first.
Result<void> save_profile(const Places& places, const Profile& profile,
                          const std::optional<ProfileKeys>& keys);

/// From --password-fd, the terminal or $SSH_ASKPASS.
tl::expected<Sensitive, Failure> ask_password(const ClientLine& given, std::string_view device);

} // namespace knock::client
