// SPDX-License-Identifier: GPL-2.0-or-later
// The report of users as values and JSON.
#include <knock/users_report.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <knock/control.hpp>
#include <knock/enrol.hpp>

#include "core/json_text.hpp"

namespace knock {
namespace {

using nlohmann::json;

std::string_view state_of(const Device& device, Moment now) {
  switch (lack_of(device, now)) {
  case Lack::off: return "off";
  case Lack::not_yet: return "not yet";
  case Lack::ended: return "ended";
  case Lack::invited: return "invited";
  default: return "ok";
  }
}

json time_json(const std::optional<Moment>& moment) {
  return moment ? json(rfc3339(*moment)) : json();
}

json text_json(const std::string& text) {
  return text.empty() ? json() : json(text);
}

json refused_json(const std::optional<LastRefused>& refused) {
  if (!refused) return {};
  return {{"reason", refused->reason},
          {"time", rfc3339(refused->time)},
          {"source", refused->source},
          {"skew_ms", refused->skew_ms ? json(*refused->skew_ms) : json()}};
}

json device_json(const DeviceReport& device) {
  return {{"device", device.device},
          {"accepts", device.accepts},
          {"symmetric", device.symmetric},
          {"kid", device.kid},
          {"doors", device.doors},
          {"state", device.state},
          {"until", time_json(device.until)},
          {"claim", time_json(device.claim)},
          {"old_until", time_json(device.old_until)},
          {"openings_left", device.openings_left ? json(*device.openings_left) : json()},
          {"last_opened", time_json(device.last_opened)},
          {"server_key", text_json(device.server_key)},
          {"fingerprint", text_json(device.fingerprint)},
          {"last_refused", refused_json(device.last_refused)}};
}

json user_json(const UserReport& user) {
  return {{"user", user.user},
          {"enabled", user.enabled},
          {"doors", user.doors},
          {"from", time_json(user.from)},
          {"until", time_json(user.until)},
          {"devices", json::array()}};
}

// Of hostile JSON the library throws; `parse_users` catches.
std::optional<Moment> moment_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  const auto moment = parse_rfc3339(value.get_ref<const std::string&>());
  if (!moment) throw json::other_error::create(500, "no time", &value);
  return moment;
}

std::string text_of_json(const json& value) {
  return value.is_null() ? std::string() : value.get<std::string>();
}

std::optional<LastRefused> refused_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  LastRefused refused{value.at("reason"), value.at("source"), {}, {}};
  refused.time = moment_of(value.at("time")).value_or(Moment{});
  if (const auto& skew = value.at("skew_ms"); !skew.is_null()) refused.skew_ms = skew.get<std::int64_t>();
  return refused;
}

DeviceReport device_of(const json& from) {
  DeviceReport device;
  device.device = from.at("device");
  device.accepts = from.at("accepts");
  device.symmetric = from.at("symmetric");
  device.kid = from.at("kid");
  device.doors = from.at("doors").get<std::vector<std::string>>();
  device.state = from.at("state");
  device.until = moment_of(from.at("until"));
  device.claim = moment_of(from.at("claim"));
  if (from.contains("old_until")) device.old_until = moment_of(from["old_until"]);
  if (const auto& left = from.at("openings_left"); !left.is_null())
    device.openings_left = left.get<std::uint32_t>();
  device.last_opened = moment_of(from.at("last_opened"));
  device.server_key = text_of_json(from.at("server_key"));
  device.fingerprint = text_of_json(from.at("fingerprint"));
  device.last_refused = refused_of(from.at("last_refused"));
  return device;
}

void read_user(const json& from, std::vector<UserReport>& users) {
  const auto& name = from.at("user").get_ref<const std::string&>();
  if (users.empty() || users.back().user != name) {
    auto& user = users.emplace_back();
    user.user = name;
    user.enabled = from.at("enabled");
    user.doors = from.at("doors").get<std::vector<std::string>>();
    user.from = moment_of(from.at("from"));
    user.until = moment_of(from.at("until"));
  }
  for (const auto& device : from.at("devices")) users.back().devices.push_back(device_of(device));
}

/// Until when the key before a rotation opens something.
std::optional<Moment> old_until_of(const Device& device, Moment now) {
  if (!device.old || !device.enabled) return std::nullopt;
  const auto until = std::min(device.old->until, device.until.value_or(device.old->until));
  return until > now ? std::optional(until) : std::nullopt;
}

} // namespace

std::vector<UserReport> report_of(const Config& config, Moment now) {
  std::vector<UserReport> users;
  for (const auto& user : config.users) {
    auto& report =
        users.emplace_back(UserReport{user.name, user.enabled, user.doors, user.from, user.until, {}});
    for (const auto& device : user.devices) {
      auto& one = report.devices.emplace_back();
      one.device = device.label;
      one.accepts = to_string(device.accepts);
      one.symmetric = is_symmetric(device.accepts);
      for (const auto byte : device.key.kid.bytes) one.kid += fmt::format("{:02x}", byte);
      one.doors = device.doors;
      one.state = state_of(device, now);
      one.until = device.until;
      one.claim = device.claim;
      one.old_until = old_until_of(device, now);
      if (device.key.public_key) one.fingerprint = fingerprint(*device.key.public_key);
      if (device.openings != 0) one.openings_left = device.openings;
    }
  }
  return users;
}

std::vector<std::string> encode(std::span<const UserReport> users) {
  constexpr std::size_t kFrame = 64; // of `{"schema":1,"users":[...]}`
  std::vector<std::string> lines;
  const auto add = [&](const json& user) {
    lines.push_back(fmt::format("{{\"schema\":1,\"users\":[{}]}}", json_text(user)));
  };
  for (const auto& user : users) {
    auto whole = user_json(user);
    std::size_t size = json_text(whole).size() + kFrame;
    for (const auto& device : user.devices) {
      auto one = device_json(device);
      const auto more = json_text(one).size() + 1;
      if (size + more > kMaxReplyLine) {
        add(whole);
        whole = user_json(user);
        size = json_text(whole).size() + kFrame;
      }
      size += more;
      whole["devices"].push_back(std::move(one));
    }
    add(whole);
  }
  return lines;
}

std::string to_json(std::span<const UserReport> users) {
  auto all = json::array();
  for (const auto& user : users) {
    auto& whole = all.emplace_back(user_json(user));
    for (const auto& device : user.devices) whole["devices"].push_back(device_json(device));
  }
  return json_text({{"schema", 1}, {"users", std::move(all)}});
}

bool parse_users(std::string_view text, std::vector<UserReport>& users) try {
  const auto line = foreign_json(text);
  if (!line.is_object() || line.value("schema", 0) != 1 || !line.contains("users")) return false;
  for (const auto& user : line["users"]) read_user(user, users);
  return true;
} catch (const json::exception&) {
  return false;
}

std::vector<KeyReport> keys_of(const Config& config) {
  std::vector<KeyReport> keys;
  for (const auto& key : config.server_keys)
    keys.push_back({key_name(key.key.server.pub), key.made, key.until});
  return keys;
}

std::string keys_json(std::span<const KeyReport> keys, const std::vector<UserReport>* users) {
  auto all = json::array();
  for (const auto& key : keys) {
    auto devices = json::array();
    if (users != nullptr)
      for (const auto& user : *users)
        for (const auto& device : user.devices)
          if (device.server_key == key.id) devices.push_back(device.device);
    all.push_back({{"id", key.id},
                   {"made", rfc3339(key.made)},
                   {"until", time_json(key.until)},
                   {"devices", users != nullptr ? std::move(devices) : json()}});
  }
  return json_text({{"schema", 1}, {"keys", std::move(all)}});
}

} // namespace knock
