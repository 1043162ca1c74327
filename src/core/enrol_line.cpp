// SPDX-License-Identifier: GPL-2.0-or-later
// The lines that knockctl prints for devices.
#include <knock/enrol.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <knock/command_line.hpp>
#include <knock/hints.hpp>
#include <knock/limits.hpp>

#include "core/config/words.hpp"

namespace knock {
namespace {

tl::unexpected<Failure> missing(std::string text, std::string advice) {
  return tl::unexpected(Failure{ExitCode::failed, "failed", {}, std::move(text), std::move(advice)});
}

LineKind kind_of(Accepts accepts) {
  switch (accepts) {
  case Accepts::psk: return LineKind::psk;
  case Accepts::password: return LineKind::password;
  default: return LineKind::invite;
  }
}

/// Steps as in knockgate.toml, a pause before its step.
std::vector<std::string> steps_of(const Door& door) {
  std::vector<std::string> steps;
  for (const auto& step : door.knock) {
    if (step.pause != Millis{0}) steps.push_back("pause " + grammar::duration_text(step.pause));
    steps.push_back(to_string(step.kind));
  }
  return steps;
}

LineDoor line_door(const Config& config, const Door& door) {
  LineDoor line;
  line.name = door.name;
  line.any = door.any;
  if (!door.any) {
    auto ports = opened_by(door);
    for (const auto& forward : door.forwards) ports.push_back(forward.outer);
    std::sort(ports.begin(), ports.end());
    line.ports = in_rows(ports);
  }
  line.open_for = door.open_for;
  if (door.max != Door{}.max) line.max = door.max;
  line.cut = door.cut;
  line.uses = door.uses != 0;
  line.run = !door.run.empty();
  line.args = static_cast<std::uint16_t>(door.args);
  for (const auto& prefix : config.gate.also)
    if (prefix.length == (prefix.address.family == Family::ipv4 ? 32 : 128))
      line.at.push_back(to_string(prefix.address));
  return line;
}

std::optional<std::uint64_t> seconds_of(std::optional<Moment> moment) {
  if (!moment) return std::nullopt;
  return static_cast<std::uint64_t>(moment->time_since_epoch().count());
}

tl::unexpected<Failure> missing_doors(const Config& config, const Device& device) {
  const auto hint = device.doors.empty()
                        ? Hint{{}, fmt::format("sudo knockctl user add {} --door DOOR", device.user)}
                        : no_way(config, device.user, device.doors.front()).value_or(Hint{});
  return missing(fmt::format("{} may open no door that takes signed packets", device.label), hint.advice);
}

/// Where the router is, for any line.
tl::expected<Line, Failure> line_to(const Config& config, std::span<const std::string> hosts) {
  Line line;
  line.hosts.assign(hosts.begin(), hosts.end());
  if (line.hosts.empty()) line.hosts = config.kn1.hosts;
  if (line.hosts.empty())
    return missing("where is this router? A line names its host",
                   "add --host router.example, or [kn1] hosts in knockgate.toml");
  if (line.hosts.size() > kKn1Hosts.most)
    return tl::unexpected(usage_failure(fmt::format("a line names {} hosts at most", kKn1Hosts.most),
                                        "--host router.example --host 203.0.113.1"));
  for (const auto& host : line.hosts)
    if (!is_host(host))
      return tl::unexpected(usage_failure(host + " is no name or address of a host",
                                          "--host router.example, without https://"));
  return line;
}

} // namespace

tl::expected<Line, Failure> line_of(const Config& config, const Device& device,
                                    std::span<const std::string> hosts) {
  auto made = line_to(config, hosts);
  if (!made) return made;
  auto& line = *made;
  if (config.server_keys.empty()) return missing("there is no server key", "sudo knockctl invite makes it");
  line.kind = kind_of(device.accepts);
  for (Port port : config.kn1.ports) line.ports.push_back(to_string(port));
  if (config.kn1.icmp) line.ports.emplace_back("icmp");
  for (const auto& key : config.server_keys) line.servers.push_back(key.key.server);
  line.device = LineDevice{device.key.kid, device.key.secret};
  line.name = device.label;
  for (const auto& name : device.doors)
    if (!no_way(config, device.user, name))
      line.doors.push_back(line_door(config, *enabled_door(config, name)));
  if (line.doors.empty()) return missing_doors(config, device);
  line.claim = device.accepts == Accepts::kn1 ? seconds_of(device.claim) : std::nullopt;
  line.until = seconds_of(device.until);
  line.counter = device.counter;
  line.bound = device.require_source;
  line.for_src = device.for_src;
  return made;
}

tl::expected<Line, Failure> knock_line_of(const Config& config, const Door& door,
                                          std::span<const std::string> hosts) {
  auto made = line_to(config, hosts);
  if (!made) return made;
  if (door.knock.empty())
    return missing(fmt::format("door {} has no knock", door.name),
                   door.kn1 ? "sudo knockctl invite USER --door " + door.name : "sudo knockctl check");
  made->kind = LineKind::knock;
  made->doors.push_back(line_door(config, door));
  made->doors.back().knock = steps_of(door);
  return made;
}

} // namespace knock
