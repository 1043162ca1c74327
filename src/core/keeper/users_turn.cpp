// SPDX-License-Identifier: GPL-2.0-or-later
// Users, devices and keys change while the doors stay as they are.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <knock/dates.hpp>
#include <knock/last_good.hpp>

#include "core/keeper/turns.hpp"

namespace knock::keeper {
namespace {

using Devices = std::map<std::string_view, const Device*>;

Devices devices_of(const Config* config) {
  Devices devices;
  if (config == nullptr) return devices;
  for (const auto& user : config->users)
    for (const auto& device : user.devices) devices[device.label] = &device;
  return devices;
}

std::string date_text(const std::optional<Moment>& date) {
  return date ? rfc3339(*date) : "-";
}

std::string device_line(std::string_view verb, const Device& device, const std::string& uid) {
  return fmt::format("{} device={} accepts={} doors={} until={} uid={}", verb, device.label,
                     to_string(device.accepts),
                     device.doors.empty() ? "-" : fmt::format("{}", fmt::join(device.doors, ",")),
                     date_text(device.until), uid);
}

/// All of a device that changes what it may do, or what a report says of it.
bool is_same(const Device& a, const Device& b) {
  const auto same_key = [](const DeviceKey& one, const DeviceKey& other) {
    return one.kid == other.kid && one.secret == other.secret && one.psk == other.psk &&
           one.public_key == other.public_key;
  };
  return same_key(a.key, b.key) && a.old.has_value() == b.old.has_value() &&
         std::tie(a.enabled, a.accepts, a.doors, a.from, a.until, a.claim, a.sources, a.user_sources,
                  a.counter, a.require_source, a.for_src, a.addresses, a.ttl_max, a.openings) ==
             std::tie(b.enabled, b.accepts, b.doors, b.from, b.until, b.claim, b.sources, b.user_sources,
                      b.counter, b.require_source, b.for_src, b.addresses, b.ttl_max, b.openings);
}

} // namespace

std::vector<Line> user_lines(const Config* before, const Config& next, std::optional<std::uint32_t> uid) {
  std::vector<Line> lines;
  if (before == nullptr) return lines;
  const auto who = uid ? std::to_string(*uid) : std::string("-");
  const auto was = devices_of(before), is = devices_of(&next);
  const auto say = [&](std::string_view verb, const Device& device) {
    lines.push_back({LogLevel::info, device_line(verb, device, who)});
  };
  for (const auto& [label, device] : is) {
    const auto old = was.find(label);
    if (old == was.end())
      say("device-add", *device);
    else if (!is_same(*old->second, *device))
      say("device-change", *device);
  }
  for (const auto& [label, device] : was)
    if (!is.contains(label)) say("device-remove", *device);
  const auto first_key = [](const Config& config) {
    return config.server_keys.empty() ? std::string("-")
                                      : key_name(config.server_keys.front().key.server.pub);
  };
  if (first_key(*before) != first_key(next))
    lines.push_back({LogLevel::info, fmt::format("key-rotate key={} uid={}", first_key(next), who)});
  return lines;
}

void UsersTurn::ask(State&, Ask& ask) {
  ask.config = true;
}

Steps UsersTurn::decide(State& state, const Seen& seen, Said& said) {
  if (!seen.config) return {};
  auto parsed = parse_users_anew(state.settings.running, *seen.config);
  const auto keys = [](const ParsedConfig& one) {
    return std::any_of(one.texts.begin(), one.texts.end(),
                       [](const ConfigText& text) { return text.part == ConfigText::Part::keys; });
  };
  if (parsed.config && keys(*seen.config) && !keys(parsed)) // kn1.key is bad: the keys that run stay
    parsed.config->server_keys = state.settings.config->server_keys;
  for (const auto& finding : parsed.findings)
    if (finding.level == Finding::Level::error) texts_.push_back(to_string(finding));
  if (!parsed.config) {
    state.desk.answer(change_.ticket, Reply{{}, failure_of(parsed.findings.front())}, said);
    return {};
  }
  next_ = std::make_shared<const Config>(std::move(*parsed.config));
  running_ = std::move(parsed.texts);
  return {};
}

void UsersTurn::settle(State& state, const Steps&, const Outcome&, Said& said) {
  if (!next_) return;
  for (auto& line : user_lines(state.settings.config.get(), *next_, change_.options.uid))
    said.lines.push_back(std::move(line));
  state.settings.config = std::move(next_);
  state.settings.running = std::move(running_);
  state.kept.memory.last_good =
      std::make_shared<const std::string>(encode_last_good({state.kept.disk.boot(), state.settings.running}));
  state.knocks.follow(*state.settings.config);
  follow_keys(state, change_.options.fresh);
  state.finishing = Finishing{change_, {}, state.kept.memory.unconfirmed, std::move(texts_), false};
}

} // namespace knock::keeper
