// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/hints.hpp>

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/nearest.hpp>

namespace knock {
namespace {

constexpr std::size_t kNamed = 8; // doors that fit a line

/// "did you mean ssh? Doors: nas ssh"
std::string doors_instead(const Config& config, std::string_view wrong) {
  std::vector<std::string_view> names;
  for (const auto& door : config.doors) names.push_back(door.name);
  if (names.empty()) return "write [door.NAME] into doors.d first";
  const auto meant = nearest(wrong, names);
  const auto shown = std::min(names.size(), kNamed);
  return fmt::format("{}doors here: {}{}", meant.empty() ? "" : fmt::format("did you mean {}? ", meant),
                     fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), " "),
                     names.size() > shown ? " ..." : "");
}

const Door* any_door(const Config& config, std::string_view name) {
  const auto found = std::find_if(config.doors.begin(), config.doors.end(),
                                  [&](const Door& door) { return door.name == name; });
  return found == config.doors.end() ? nullptr : &*found;
}

Hint off(const std::string& who, const std::string& file) {
  return {who + " is off", fmt::format("take enabled = false out of {}, then: sudo knockctl reload", file)};
}

} // namespace

std::optional<Hint> no_way(const Config& config, std::string_view user, std::string_view name) {
  const auto* door = any_door(config, name);
  if (door == nullptr) return Hint{fmt::format("there is no door {}", name), doors_instead(config, name)};
  if (!door->enabled)
    return Hint{fmt::format("door {} is off", name), fmt::format("write enabled = true in [door.{}]", name)};
  if (!door->kn1)
    return Hint{fmt::format("door {} takes no signed packets", name),
                fmt::format("write kn1 = true in [door.{}]", name)};
  if (door->users && std::find(door->users->begin(), door->users->end(), user) == door->users->end())
    return Hint{fmt::format("the users of door {} do not hold {}", name, user),
                fmt::format("add it to users in [door.{}]", name)};
  return std::nullopt;
}

std::optional<Hint> shut_out(const Config& config, const Device& device, Moment now, ToLocal to_local) {
  const auto* user = find_user(config, device.user);
  const auto lack = lack_of(device, now);
  if (user != nullptr && user->doors.empty()) // its devices alone are there
    return Hint{"there is no user " + device.user,
                fmt::format("sudo knockctl user add {} --door DOOR", device.user)};
  if (lack == Lack::off)
    return user != nullptr && !user->enabled ? off("user " + device.user, user->place.file)
                                             : off(device.label, device.place.file);
  if (lack != Lack::ended) return std::nullopt;
  const bool of_user = user != nullptr && user->until && *user->until <= now;
  return Hint{fmt::format("the access of {} ended {}", of_user ? "user " + device.user : device.label,
                          minute_text(*device.until, to_local)),
              fmt::format("write a later until in {}, then: sudo knockctl reload",
                          of_user ? user->place.file : device.place.file)};
}

std::optional<Failure> misnamed(const Config& config, std::span<const std::string> doors) {
  for (const auto& name : doors)
    if (any_door(config, name) == nullptr) {
      auto hint = no_way(config, {}, name);
      return Failure{ExitCode::failed, "failed", {}, std::move(hint->text), std::move(hint->advice)};
    }
  return std::nullopt;
}

} // namespace knock
