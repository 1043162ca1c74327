// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate list: profiles, with the key that each device has; ssh_config for them.
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <knock/dates.hpp>
#include <knock/kn1_client.hpp>

#include "client/profiles.hpp"
#include "client/show.hpp"
#include "client/ssh_config.hpp"
#include "client/verbs.hpp"
#include "core/json_text.hpp"
#include "system/zone.hpp"

namespace knock::client {
namespace {

using nlohmann::json;

/// Of the device's own key; empty: it has none.
std::string own_fingerprint(const ClientLine& given, const Places& places, const Profile& profile) {
  const auto keys = load_keys(given, places, profile);
  if (!keys) warn(keys.error());
  if (!keys || !*keys || !(*keys)->seed) return {};
  return fingerprint(kn1::signing_public(*(*keys)->seed));
}

std::vector<std::string> doors_of(const Profile& profile) {
  std::vector<std::string> doors;
  for (const auto& door : profile.doors) doors.push_back(to_string(door));
  return doors;
}

void print_profile(const Profile& profile, const std::string& key, bool as_json) {
  if (as_json) {
    json doors = json::array();
    for (const auto& door : profile.doors) doors.push_back(door.name);
    fmt::print("{}\n", json_text({{"schema", 1},
                                  {"profile", profile.name},
                                  {"hosts", profile.hosts},
                                  {"device", profile.device},
                                  {"doors", doors},
                                  {"fingerprint", key.empty() ? json(nullptr) : json(key)},
                                  {"until", profile.until ? json(rfc3339(*profile.until)) : json(nullptr)}}));
    return;
  }
  fmt::print("{}  {}  {}  {}{}{}\n", profile.name, fmt::join(profile.hosts, ","),
             profile.device.empty() ? "knock" : profile.device, fmt::join(doors_of(profile), " "),
             key.empty() ? "" : "   key " + key,
             profile.until ? "   until " + date_text(*profile.until, system::to_local) : "");
}

/// Whether the profile is for that host, and has a door for the port, if one is asked for.
bool matches(const Profile& profile, const std::vector<std::string>& words) {
  if (words.empty()) return true;
  if (!find_profile(std::span(&profile, 1), words[0])) return false;
  if (words.size() < 2) return true;
  std::uint16_t port = 0;
  std::from_chars(words[1].data(), words[1].data() + words[1].size(), port);
  return find_door(profile, words[0], {Protocol::tcp, port}).has_value();
}

} // namespace

int list(const ClientLine& given) {
  const auto where = places();
  if (!where) return fail(given, where.error());
  const auto profiles = asked_profiles(given, *where);
  if (!profiles) return fail(given, profiles.error());
  bool any = false;
  for (const auto& profile : profiles->sound) {
    if (!matches(profile, given.words)) continue;
    any = true;
    if (given.ssh)
      fmt::print("{}", ssh_config(profile));
    else
      print_profile(profile, own_fingerprint(given, *where, profile), given.json);
  }
  if (any) return 0;
  if (!profiles->broken.empty()) return static_cast<int>(profiles->broken.front().exit);
  if (!given.words.empty()) return 1; // for `Match exec`: silent
  if (!given.json) say("knockgate: no profile yet; knockgate join makes one\n");
  return 1;
}

} // namespace knock::client
