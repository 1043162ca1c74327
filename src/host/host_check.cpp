// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/host_check.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "host/firewall_check.hpp"

namespace knock::host {
namespace {

constexpr std::int64_t kSilent = 3'600; // seconds; ssh without keep-alives is silent for as long as a lunch

/// Its ports are those of other doors, which are warned of themselves.
bool forwards(const Door& door) {
  return door.enabled && !door.any && !door.forwards.empty();
}

/// Has to see every packet, of connections that may be forwarded ones; of others no flowtable takes any.
bool needs_every_packet(const Door& door, const Config& config) {
  return door.enabled && (door.close == Close::on_idle || door.cut) &&
         (!door.forwards.empty() || !config.gate.also.empty() || config.nft.mode == Mode::embed);
}

bool needs_flows(const Door& door) {
  return door.enabled && (door.close == Close::on_disconnect || door.uses != 0);
}

bool has_target(const Door& door, std::optional<Target> Forward::*family) {
  return std::any_of(door.forwards.begin(), door.forwards.end(),
                     [&](const Forward& forward) { return (forward.*family).has_value(); });
}

void check_forwards(const Door& door, const HostFacts& facts, std::vector<Finding>& findings) {
  const auto warn = [&](std::string text, std::string advice) {
    findings.push_back(
        {Finding::Level::warning, door.place, std::move(text), std::move(advice), finding::kNoForwarding});
  };
  if (has_target(door, &Forward::ipv4) && !facts.forwards4)
    warn(fmt::format("door {} forwards, but this host forwards no IPv4", door.name),
         "run: sysctl -w net.ipv4.ip_forward=1");
  if (has_target(door, &Forward::ipv6) && !facts.forwards6)
    warn(fmt::format("door {} forwards, but this host forwards no IPv6", door.name),
         "run: sysctl -w net.ipv6.conf.all.forwarding=1");
}

void check_flowtables(const Door& door, const HostFacts& facts, std::vector<Finding>& findings) {
  for (const auto& [family, table, name] : facts.firewall.flowtables)
    findings.push_back(
        {Finding::Level::warning, door.place,
         fmt::format("door {} {}, but flowtable {} of table {} {} carries connections past the gate",
                     door.name, door.cut ? "cuts connections" : "closes on idle", name, family, table),
         fmt::format("let its rule leave this door's connections out: flow add @{}", name),
         finding::kFlowtable});
}

void check_run(const Door& door, const HostFacts& facts, std::vector<Finding>& findings) {
  for (const auto* command : {&door.run, &door.run_close}) {
    if (command->empty()) continue;
    const auto fault = facts.run_faults.find(command->front());
    if (fault == facts.run_faults.end() || fault->second.empty()) continue;
    findings.push_back(
        {Finding::Level::warning, door.place,
         fmt::format("door {} runs {}, which cannot start: {}", door.name, command->front(), fault->second),
         fmt::format("run: chmod a+rx {} (and a+x its directories), or name another command",
                     command->front()),
         finding::kRunFile});
  }
}

/// The service that listens there hears the knock, and for the kernel a packet to an open port is no stray.
void check_steps(const Door& door, const HostFacts& facts, std::vector<Finding>& findings) {
  std::set<Port> told;
  for (const auto* knock : {&door.knock, &door.close_knock})
    for (const auto& [kind, pause] : *knock)
      if (facts.listening.contains(kind.port) && told.insert(kind.port).second)
        findings.push_back(
            {Finding::Level::warning, door.place,
             fmt::format("door {} knocks at {}, where this host listens", door.name, to_string(kind.port)),
             "knock at a port where nothing listens, these do: ss -tuln", finding::kOpenStep});
}

void check_kn1(const Config& config, const HostFacts& facts, std::vector<Finding>& findings) {
  const auto door = std::find_if(config.doors.begin(), config.doors.end(),
                                 [](const Door& one) { return one.enabled && one.kn1; });
  if (door == config.doors.end()) return;
  for (Port port : config.kn1.ports)
    if (facts.listening.contains(port))
      findings.push_back(
          {Finding::Level::warning, door->place,
           fmt::format("signed packets come to {}, where this host listens: the service gets them, too",
                       to_string(port)),
           "name another in [kn1] ports; what listens: ss -uln", finding::kKn1Port});
}

/// `"wg*"` stands for all that begin so.
bool is_there(const std::string& written, const HostFacts& facts) {
  return std::any_of(facts.interfaces.begin(), facts.interfaces.end(),
                     [&](const auto& one) { return names_interface(written, one.first); });
}

void check_gate(const Config& config, const HostFacts& facts, std::vector<Finding>& findings) {
  const auto warn = [&](std::string_view name, std::string text, std::string advice) {
    findings.push_back(
        {Finding::Level::warning, config.doors.front().place, std::move(text), std::move(advice), name});
  };
  for (const auto& name : config.gate.trust_interfaces)
    if (!facts.interfaces.empty() && !is_there(name, facts))
      warn(finding::kNoInterface,
           fmt::format("[gate] trust names {}, but there is no such interface: it trusts no source", name),
           "name one that this lists: ip -br link");
  for (const auto& prefix : config.gate.also) {
    const bool routed = std::any_of(facts.routes.begin(), facts.routes.end(), [&](const Route& route) {
      return route.to.address.family == prefix.address.family &&
             (route.to.contains(prefix.address) || prefix.contains(route.to.address));
    });
    if (!facts.interfaces.empty() && !routed)
      warn(finding::kNoRoute,
           fmt::format("[gate] also guards {}, and no route leads there: were those hosts given another "
                       "prefix, they are open",
                       to_string(prefix)),
           "write a prefix that these list: ip route, ip -6 route");
  }
  if (!facts.boot.fault.empty())
    warn(finding::kBootFile,
         fmt::format("boot does not load {}: {}; guarded ports are open until the daemon runs",
                     config.nft.boot_file, facts.boot.fault),
         facts.boot.advice);
  const bool keeps = std::any_of(config.doors.begin(), config.doors.end(), [](const Door& door) {
    return door.enabled && !door.cut && !(door.opens.empty() && door.ranges.empty() && door.forwards.empty());
  });
  if (keeps && facts.silent_flow_s < kSilent)
    warn(finding::kShortFlows,
         fmt::format(
             "a connection that is silent for {} s is forgotten by conntrack, and ends when its grant did",
             facts.silent_flow_s),
         "run: sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=432000");
}

} // namespace

std::vector<Finding> check_host(const Config& config, const HostFacts& facts) {
  std::vector<Finding> findings;
  if (count_enabled(config) == 0) return findings;
  for (const auto& door : config.doors) {
    if (forwards(door)) check_forwards(door, facts, findings);
    if (needs_every_packet(door, config)) check_flowtables(door, facts, findings);
    if (door.enabled) check_run(door, facts, findings);
    if (door.enabled) check_steps(door, facts, findings);
    if (needs_flows(door) && !facts.tells_flows)
      findings.push_back(
          {Finding::Level::warning, door.place,
           fmt::format("door {} follows connections, but conntrack reports none here", door.name),
           "run: sysctl -w net.netfilter.nf_conntrack_events=2", finding::kNoFlowEvents});
  }
  check_kn1(config, facts, findings);
  check_gate(config, facts, findings);
  check_firewall(config, facts, findings);
  drop_accepted(findings, config.check.accept);
  return findings;
}

} // namespace knock::host
