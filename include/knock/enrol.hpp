// SPDX-License-Identifier: GPL-2.0-or-later
/// Enrol: what knockctl writes into users.d and kn1.key, and the lines that it prints for devices.
///
/// In:     values with keys of the caller, who has randomness and clock.   Out: texts that the config reads as the same.
/// Memory: what holds a key is in `Sensitive`, which overwrites it.
/// Source: knockgate-users(5), knockgate-kn1(7).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/config.hpp>
#include <knock/control.hpp>
#include <knock/line.hpp>

namespace knock {

/// A text that holds keys: overwritten at its end.
struct Sensitive {
  std::string text;

  Sensitive() = default;
  explicit Sensitive(std::string from) : text(std::move(from)) {}
  Sensitive(const Sensitive&) = default;
  Sensitive& operator=(const Sensitive&) = default;
  ~Sensitive();
};

/// One table each. Of a device what it says itself: `doors` is empty where they are its user's.
std::string user_text(const User& user);
Sensitive device_text(const Device& device);
Sensitive keys_text(std::span<const ServerKey> keys);
/// Where they stand in users.d: "alice.toml", "alice.laptop.toml".
std::string user_file(std::string_view user);
std::string device_file(std::string_view user, std::string_view device);
/// The device that such a file is of by its name; nothing: it is none.
std::optional<std::string> device_of_file(std::string_view file, std::string_view user);

/// What a file of users.d holds.
struct Holds {
  bool readable = true; ///< it is TOML
  std::vector<std::string> users;
  std::vector<std::string> devices;                  ///< "alice/laptop"
  std::vector<std::pair<std::string, Place>> places; ///< of both
};
Holds holds_of(const ConfigText& text);
/// The device of a file that holds no other table, with what it says itself.
std::optional<Device> device_alone(const ConfigText& text, const Outside& outside);

bool is_user_name(std::string_view name);
/// "d1", "d2": the first that the user has not.
std::string next_device(const Config& config, std::string_view user);
/// As the config takes it: 2026-12-24, 2026-12-24T18:00:00Z.
bool is_date(std::string_view text);

/// With today's server keys, ports and doors. Errors: what is missing, and what to type.
tl::expected<Line, Failure> line_of(const Config& config, const Device& device,
                                    std::span<const std::string> hosts);
/// A door's knock, for everybody.
tl::expected<Line, Failure> knock_line_of(const Config& config, const Door& door,
                                          std::span<const std::string> hosts);

/// A new first key; the former ones end at `until` at the latest, those that ended before `now` are left out.
std::vector<ServerKey> rotated(std::span<const ServerKey> keys, const ServerKey& fresh, Moment now,
                               Moment until);

/// For root's knockctl where the keys are sealed and only the daemon has them (control verb `keys`): what is public of
/// them, what hides packets, and the file. `parse_keys` leaves the secrets empty.
std::vector<std::string> encode_keys(std::span<const ServerKey> keys);
std::optional<std::vector<ServerKey>> parse_keys(std::span<const std::string> lines);

/// "b51c 0d13 2099": what two people compare by voice.
std::string fingerprint(const kn1::Public& public_key);
std::string base64_of(std::span<const std::uint8_t> bytes);

} // namespace knock
