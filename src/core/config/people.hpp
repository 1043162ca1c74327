// SPDX-License-Identifier: GPL-2.0-or-later
/// The rooms of users.d and kn1.key, in the order they are passed: users and devices, what they must agree on with each
/// other and with doors, lint.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "parts.hpp"

namespace knock::grammar {

struct ReadDevice {
  Device device;
  const Written* written = nullptr;
  bool sound = false; ///< nothing to complain about so far
};

/// A user's own keys and devices may stand in several files.
struct ReadUser {
  User user;
  const Written* written = nullptr; ///< where its own keys stand; null: there are devices alone
  std::vector<ReadDevice> devices;
};

struct People {
  std::vector<ReadUser> users;
  std::map<std::string, std::size_t, std::less<>> at;
};

/// One file of users.d.
void read_people(Reader& in, const Written& tree, People& people);
/// What stands below [user.NAME.DEVICE].
Device read_device(Reader& in, const Written& written, std::string_view user);
/// kn1.key.
void read_server_keys(Reader& in, const Written& tree, Config& config);

// Keys that users and devices share.
void read_user_doors(Reader& in, const Written& value, std::vector<std::string>& doors);
void read_sources(Reader& in, const Written& value, std::vector<Prefix>& sources);
void check_dates(Reader& in, const Written& table, std::optional<Moment> from, std::optional<Moment> until);

/// Base64 with its padding, of just as many bytes. What is written there is never shown.
void read_base64(Reader& in, const Written& value, std::span<std::uint8_t> out);
void read_kid(Reader& in, const Written& value, kn1::Kid& kid);

/// Names and keys over all users, users against doors.
void check_people(Reader& in, const People& people, std::span<const ReadDoor> doors);
/// Gives each device what its user says, too; a device without its user is off. Moves all out. `alone`: users may stand in
/// files not read.
std::vector<User> merge_people(People& people, bool alone);

/// What is allowed and unwise.
void lint_people(std::vector<Finding>& findings, const Config& config, const People& people,
                 std::span<const ReadDoor> doors, std::optional<Moment> now);

} // namespace knock::grammar
