// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/users.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <knock/config.hpp>

namespace knock {

std::string_view to_string(Accepts accepts) {
  switch (accepts) {
  case Accepts::psk: return "psk";
  case Accepts::password: return "password";
  default: return "kn1";
  }
}

std::string key_name(const kn1::Public& public_key) {
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", public_key[0], public_key[1], public_key[2], public_key[3]);
}

const User* find_user(const Config& config, std::string_view name) {
  const auto found = std::find_if(config.users.begin(), config.users.end(),
                                  [&](const User& user) { return user.name == name; });
  return found == config.users.end() ? nullptr : &*found;
}

const Device* find_device(const Config& config, std::string_view label) {
  const auto* user = find_user(config, label.substr(0, label.find('/')));
  if (user == nullptr) return nullptr;
  const auto found = std::find_if(user->devices.begin(), user->devices.end(),
                                  [&](const Device& device) { return device.label == label; });
  return found == user->devices.end() ? nullptr : &*found;
}

bool may_open(const Config& config, const Device& device, std::string_view name) {
  const auto holds = [](const std::vector<std::string>& names, std::string_view one) {
    return std::find(names.begin(), names.end(), one) != names.end();
  };
  const auto* door = enabled_door(config, name);
  return door != nullptr && door->kn1 && device.enabled && holds(device.doors, name) &&
         (!door->users || holds(*door->users, device.user));
}

Lack lack_of(const Device& device, Moment now) {
  if (!device.enabled) return Lack::off;
  if (device.until && now >= *device.until) return Lack::ended;
  if (device.accepts == Accepts::kn1 && !device.key.public_key) return Lack::invited;
  return device.from && now < *device.from ? Lack::not_yet : Lack::nothing;
}

bool takes_kn1(const Config& config) {
  return std::any_of(config.doors.begin(), config.doors.end(),
                     [](const Door& door) { return door.enabled && door.kn1; });
}

} // namespace knock
