// SPDX-License-Identifier: GPL-2.0-or-later
// What a line says, as a profile.
#include <knock/profile.hpp>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include <knock/command_line.hpp>
#include <knock/limits.hpp>

#include "core/client/profile_parts.hpp"
#include "core/config/words.hpp"

namespace knock::profiles {
namespace {

/// What no date of a profile says, the nearest one does.
std::optional<Moment> moment_of(std::optional<std::uint64_t> seconds) {
  if (!seconds) return std::nullopt;
  const auto most = static_cast<std::uint64_t>(kDates.most.count());
  const Seconds within{static_cast<std::int64_t>(std::min(*seconds, most))};
  return Moment{std::max(within, kDates.least)};
}

std::optional<Millis> within_limits(std::optional<Millis> span) {
  return span ? std::optional(std::clamp(*span, kOpenFor.least, kOpenFor.most)) : std::nullopt;
}

/// As a profile can say it; nothing: it cannot.
std::optional<std::vector<LineDoor>> doors_of(const Line& line) {
  auto doors = line.doors;
  std::set<std::string_view> names;
  for (auto& door : doors) {
    door.open_for = within_limits(door.open_for);
    door.max = within_limits(door.max);
    for (auto& step : door.knock) step = grammar::one_line(step);
    if (!names.insert(door.name).second || door.knock.size() > kMaxEntries || fault_of(door.knock))
      return std::nullopt;
  }
  return doors;
}

tl::expected<ProfileKeys, Failure> keys_of(const Line& line, const std::optional<kn1::Secret>& seed) {
  if (!line.device || line.servers.empty()) return tl::unexpected(failure_of(LineFault::unfit));
  ProfileKeys keys;
  keys.servers = line.servers;
  keys.kid = line.device->kid;
  keys.secret = line.device->secret;
  if (line.kind == LineKind::psk) keys.psk = line.device->secret;
  if (line.kind == LineKind::invite) {
    if (!seed)
      return tl::unexpected(
          Failure{ExitCode::failed, "failed", {}, "no key of this device", "run join again"});
    keys.seed = seed;
  }
  return keys;
}

/// Lower case; what is no letter or digit becomes -, none in front.
std::string name_of(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool plain = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (plain || !name.empty()) name += plain ? lower : '-';
  }
  return name.substr(0, kMaxName);
}

} // namespace
} // namespace knock::profiles

namespace knock {

tl::expected<Joined, Failure> join_profile(const Line& line, std::string_view name,
                                           const std::optional<kn1::Secret>& seed) {
  if (line.kind == LineKind::rotating)
    return tl::unexpected(
        usage_failure("the line is of a rotating knock: this version of knockgate does not join with one",
                      "have the admin run: sudo knockctl invite USER/DEVICE"));
  auto doors = profiles::doors_of(line);
  const bool hosts = std::all_of(line.hosts.begin(), line.hosts.end(), profiles::is_client_host);
  if (!doors || !hosts) return tl::unexpected(failure_of(LineFault::unfit));
  Joined joined;
  auto& profile = joined.profile;
  profile.name = name;
  profile.hosts = line.hosts;
  profile.device = line.name;
  for (const auto& port : line.ports)
    if (const auto carrier = parse_carrier(port)) profile.send.push_back(*carrier);
  profile.require_source = line.bound;
  profile.for_src = line.for_src;
  profile.counter = line.counter;
  profile.claim = profiles::moment_of(line.claim);
  profile.until = profiles::moment_of(line.until);
  profile.doors = *std::move(doors);
  if (line.kind == LineKind::knock) return joined;
  auto keys = profiles::keys_of(line, seed);
  if (!keys) return tl::unexpected(std::move(keys.error()));
  joined.keys = *std::move(keys);
  return joined;
}

Failure failure_of(LineFault fault) {
  switch (fault) {
  case LineFault::no_line:
    return usage_failure("this is no line of knockgate", "copy it whole, from KNOCKGATE: on");
  case LineFault::damaged:
    return usage_failure("the line is cut or mistyped", "copy it whole, from KNOCKGATE: to its end");
  case LineFault::answer:
    return usage_failure("this line is for the router",
                         "have its admin run there: sudo knockctl device add LINE");
  case LineFault::newer:
    return usage_failure("the line is of a newer knockgate than this one", "update knockgate here");
  case LineFault::unfit: break;
  }
  return usage_failure("the line says what no line can",
                       "have the admin print it anew: sudo knockctl device line USER/DEVICE");
}

std::string profile_name(const Line& line) {
  if (line.hosts.empty()) return "router";
  const auto& host = line.hosts.front();
  auto name = profiles::name_of(parse_address(host) ? host : host.substr(0, host.find('.')));
  return name.empty() ? "router" : name;
}

} // namespace knock
