// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/lasting.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace knock {
namespace {

using Open = std::multimap<Address, const StatusGrant*>;

/// One of its own before one that opens "any".
const Door* door_of(const Config& config, Port port) {
  const Door* found = nullptr;
  for (const auto& door : config.doors)
    if (door.enabled && guards(door, port) && (found == nullptr || (found->any && !door.any))) found = &door;
  return found;
}

bool any_holds(std::span<const Prefix> prefixes, const Address& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

bool covers(const StatusGrant& grant, const Flow& flow) {
  if (grant.source_port && *grant.source_port != flow.source_port) return false;
  return std::any_of(grant.ports.begin(), grant.ports.end(), [&](const std::string& text) {
    const auto range = parse_port_range(text);
    return range && holds(*range, flow.port);
  });
}

bool is_covered(const Open& open, const Flow& flow) {
  const bool ipv4 = flow.source.family == Family::ipv4;
  for (const auto& source : {flow.source, masked(flow.source, ipv4 ? 24 : 64)}) {
    const auto [first, last] = open.equal_range(source);
    for (auto it = first; it != last; ++it) {
      const bool whole = it->second->prefix == (ipv4 ? 32 : 128);
      if ((whole ? source == flow.source : true) && covers(*it->second, flow)) return true;
    }
  }
  return false;
}

constexpr std::uint16_t kFirstLocalPort =
    32'768; // what we begin has a port from net.ipv4.ip_local_port_range

/// One older than conntrack, which heard an answer of ours first, looks as if we had begun it.
Flow as_begun(const Flow& flow, const std::set<Address>& own) {
  const bool answer = flow.port.protocol == Protocol::tcp && flow.source_port < kFirstLocalPort &&
                      own.contains(flow.source) && !own.contains(flow.destination);
  if (!answer) return flow;
  return {flow.destination, flow.port.number, flow.source, {Protocol::tcp, flow.source_port},
          flow.id,          flow.zone};
}

} // namespace

void add_unknown(std::vector<Flow>& flows, std::span<const Flow> connections) {
  // By the peer's end alone: behind a DNAT ours is another for conntrack.
  std::set<std::pair<Address, std::uint16_t>> known;
  for (const auto& flow : flows) {
    known.emplace(flow.source, flow.source_port);
    known.emplace(flow.destination, flow.port.number);
  }
  for (const auto& one : connections) {
    const bool begun_here = one.port.number >= kFirstLocalPort && one.source_port < kFirstLocalPort;
    if (!begun_here && known.count({one.source, one.source_port}) == 0) flows.push_back(one);
  }
}

std::vector<Lasting> lasting(std::span<const Flow> flows, const LastingView& view) {
  const auto& [config, grants, own, is_trusted] = view;
  Open open;
  for (const auto& grant : grants)
    if (const auto source = parse_address(grant.source)) open.emplace(*source, &grant);
  std::map<Address, bool> trusted;
  std::vector<Lasting> found;
  for (const auto& one : flows) {
    const auto flow = as_begun(one, own);
    const auto* door = door_of(config, flow.port);
    if (door == nullptr || door->cut || own.contains(flow.source)) continue;
    if (!own.contains(flow.destination) && !any_holds(config.gate.also, flow.destination)) continue;
    if (any_holds(config.gate.trust_prefixes, flow.source) || is_covered(open, flow)) continue;
    const auto [known, fresh] = trusted.try_emplace(flow.source, false);
    if (fresh) known->second = is_trusted(flow.source);
    if (!known->second) found.push_back({door->name, flow});
  }
  return found;
}

std::vector<StatusConnections> counted(std::span<const Lasting> all) {
  std::map<std::pair<std::string, Address>, std::uint64_t> counts;
  for (const auto& [door, flow] : all) ++counts[{door, flow.source}];
  std::vector<StatusConnections> rows;
  for (const auto& [key, count] : counts) rows.push_back({key.first, to_string(key.second), count});
  return rows;
}

} // namespace knock
