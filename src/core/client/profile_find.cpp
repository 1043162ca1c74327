// SPDX-License-Identifier: GPL-2.0-or-later
// Which profile, and which of its doors.
#include <knock/profile.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/command_line.hpp>
#include <knock/limits.hpp>
#include <knock/nearest.hpp>

#include "core/client/profile_parts.hpp"
#include "core/spa/line_door.hpp"

namespace knock::profiles {
namespace {

constexpr std::size_t kShown = 8; // that fit a line

template<class Each, class Text>
std::string some_of(const Each& all, Text text_of) {
  std::vector<std::string> texts;
  for (const auto& one : all) {
    texts.push_back(texts.size() == kShown ? "..." : text_of(one));
    if (texts.size() > kShown) break;
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string with_host(const Profile& profile) {
  return profile.hosts.empty() ? profile.name : fmt::format("{} ({})", profile.name, profile.hosts.front());
}

char lower_letter(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_text(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](char a, char b) { return lower_letter(a) == lower_letter(b); });
}

bool holds_host(const std::vector<std::string>& hosts, std::string_view host) {
  return std::any_of(hosts.begin(), hosts.end(),
                     [&](const std::string& one) { return same_host(one, host); });
}

bool leads_to(const Profile& profile, std::string_view host) {
  return holds_host(profile.hosts, host) ||
         std::any_of(profile.doors.begin(), profile.doors.end(),
                     [&](const LineDoor& door) { return holds_host(door.at, host); });
}

std::string doors_text(const Profile& profile) {
  return some_of(profile.doors, [](const LineDoor& door) { return to_string(door); });
}

bool opens(const LineDoor& door, Port port) {
  return std::any_of(door.ports.begin(), door.ports.end(),
                     [&](const PortRange& range) { return holds(range, port); });
}

} // namespace

bool is_client_host(std::string_view text) {
  return line::is_host(text) && text.size() <= kMaxHost;
}

bool same_host(std::string_view one, std::string_view other) {
  if (same_text(one, other)) return true;
  const auto address = parse_address(one);
  return address && address == parse_address(other);
}

} // namespace knock::profiles

namespace knock {

tl::expected<const Profile*, Failure> find_profile(std::span<const Profile> profiles, std::string_view host) {
  std::vector<const Profile*> found;
  for (const auto& profile : profiles) {
    if (profiles::same_text(profile.name, host)) return &profile;
    if (profiles::leads_to(profile, host)) found.push_back(&profile);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1)
    return tl::unexpected(
        usage_failure(fmt::format("{} profiles have {}: {}", found.size(), host,
                                  profiles::some_of(found, [](const Profile* one) { return one->name; })),
                      fmt::format("say which: --profile {}", found.front()->name)));
  if (profiles.empty()) return tl::unexpected(usage_failure("no profile yet", "knockgate join makes one"));
  return tl::unexpected(usage_failure(
      fmt::format("no profile for {}", host),
      fmt::format("there are: {}. knockgate join adds one",
                  profiles::some_of(profiles, [](const Profile& one) { return profiles::with_host(one); }))));
}

tl::expected<const LineDoor*, Failure> find_door(const Profile& profile, std::string_view host, Port port) {
  const auto& doors = profile.doors;
  const bool behind = std::any_of(doors.begin(), doors.end(),
                                  [&](const LineDoor& door) { return profiles::holds_host(door.at, host); });
  // Of the router itself those first that lead nowhere else: what stands in `at` it may guard beside its own ports.
  for (const bool any : {false, true})
    for (const bool elsewhere : {false, true})
      for (const auto& door : doors) {
        const bool counts = behind ? profiles::holds_host(door.at, host) : elsewhere != door.at.empty();
        if (counts && (any ? door.any : profiles::opens(door, port))) return &door;
      }
  return tl::unexpected(
      usage_failure(fmt::format("profile {} has no door for {}", profile.name, to_string(port)),
                    fmt::format("it has {}", profiles::doors_text(profile))));
}

tl::expected<const LineDoor*, Failure> find_door(const Profile& profile, std::string_view name) {
  if (name.empty() && profile.doors.size() == 1) return &profile.doors.front();
  if (name.empty())
    return tl::unexpected(
        usage_failure(fmt::format("profile {} has {} doors", profile.name, profile.doors.size()),
                      fmt::format("say which: {}", profiles::doors_text(profile))));
  for (const auto& door : profile.doors)
    if (door.name == name) return &door;
  std::vector<std::string_view> names;
  for (const auto& door : profile.doors) names.push_back(door.name);
  const auto meant = nearest(name, names);
  return tl::unexpected(usage_failure(fmt::format("profile {} has no door {}", profile.name, name),
                                      meant.empty() ? fmt::format("it has {}", profiles::doors_text(profile))
                                                    : fmt::format("did you mean {}?", meant)));
}

std::string to_string(const LineDoor& door) {
  std::vector<std::string> ports;
  for (const auto& range : door.ports) ports.push_back(to_string(range));
  if (door.any) ports = {"any port"};
  if (ports.empty()) ports = {door.run ? "a command" : "no port"};
  return fmt::format("{} ({})", door.name, fmt::join(ports, ", "));
}

} // namespace knock
