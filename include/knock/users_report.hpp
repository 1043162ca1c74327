// SPDX-License-Identifier: GPL-2.0-or-later
/// UsersReport: what the daemon tells of users and devices (control verb `users`), and how it is shown.
///
/// In:     the configuration, and what only the keeper knows: uses, refusals.   Out: JSON lines, tables.
/// Errors: parse returns false for a line that is none of ours.
/// Source: knockgate-json(7). No key is in it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/config.hpp>
#include <knock/dates.hpp>

namespace knock {

struct LastRefused {
  std::string reason, source;
  Moment time;
  std::optional<std::int64_t> skew_ms; ///< of its clock, where that is the reason; positive: fast
  std::uint64_t exact_ns = 0;          ///< `time`, to tell the later of two; not in the reply
};

struct DeviceReport {
  std::string device{}; ///< "alice/laptop"
  std::string accepts{};
  bool symmetric = false;
  std::string kid{}; ///< hexadecimal
  std::vector<std::string> doors{};
  std::string state{}; ///< ok, invited, off, not yet, ended, used up, count lost
  std::optional<Moment> until{}, claim{};
  std::optional<Moment> old_until{}; ///< the key before a rotation opens until then
  std::string fingerprint{};         ///< empty: it has no key of its own
  // From here on the keeper's.
  std::optional<std::uint32_t> openings_left{}; ///< absent: any number
  std::optional<Moment> last_opened{};
  std::string server_key{}; ///< the one it used last, as `key_name` has it; empty: none since the start
  std::optional<LastRefused> last_refused{};
};

struct UserReport {
  std::string user;
  bool enabled = true;
  std::vector<std::string> doors;
  std::optional<Moment> from, until;
  std::vector<DeviceReport> devices;
};

/// What the configuration says. The keeper adds the rest; "used up" is `openings_left` of 0.
std::vector<UserReport> report_of(const Config& config, Moment now);

/// JSON lines, each at most kMaxReplyLine: a user's devices may come in several.
std::vector<std::string> encode(std::span<const UserReport> users);
/// The same in one document.
std::string to_json(std::span<const UserReport> users);
bool parse_users(std::string_view line, std::vector<UserReport>& users);

/// `only`: empty, or the user that is asked for.
std::string users_text(std::span<const UserReport> users, std::string_view only, Moment now,
                       ToLocal to_local);
/// What a reason of `LastRefused` means, and what to do; empty: a word that is not known here.
std::string_view refusal_meaning(std::string_view reason);
/// The same for one user, with each device's last refusal.
std::string user_text(const UserReport& user, Moment now, ToLocal to_local);

/// A server key as `knockctl key` lists it.
struct KeyReport {
  std::string id;
  Moment made;
  std::optional<Moment> until;
};
std::vector<KeyReport> keys_of(const Config& config);
/// `users`: absent where no daemon answers.
std::string keys_text(std::span<const KeyReport> keys, const std::vector<UserReport>* users,
                      ToLocal to_local);
std::string keys_json(std::span<const KeyReport> keys, const std::vector<UserReport>* users);

} // namespace knock
