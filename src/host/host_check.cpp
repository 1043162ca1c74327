// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/host_check.hpp"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "netlink/nftables.hpp"
#include "netlink/ruleset.hpp"

namespace knock::host {
namespace {

using nlohmann::json;

/// The objects of one kind in nft's answer.
std::vector<json> objects(std::string_view text, const char* kind) {
  const auto whole = json::parse(text, nullptr, false);
  std::vector<json> found;
  if (!whole.is_object() || !whole.contains("nftables")) return found;
  for (const auto& one : whole["nftables"])
    if (one.is_object() && one.contains(kind) && one[kind].is_object()) found.push_back(one[kind]);
  return found;
}

std::string word(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

InTable place_of(const json& object) {
  return {word(object, "family"), word(object, "table"), word(object, "name")};
}

/// `ct status dnat`, `ct status { dnat, ... }` and the like.
bool matches_dnat(const json& statement) {
  if (!statement.is_object() || !statement.contains("match")) return false;
  const auto& match = statement["match"];
  static const json kStatus = {{"ct", {{"key", "status"}}}};
  return match.is_object() && match.value("left", json()) == kStatus && word(match, "op") != "!=" &&
         match.value("right", json()).dump().find("\"dnat\"") != std::string::npos;
}

bool is_off(const char* sysctl) {
  std::ifstream file(sysctl);
  int value = 1;
  return file >> value && value == 0;
}

/// libnftables writes to standard error itself when it may not.
bool may_list(const Config& config) {
  auto nftables = netlink::Nftables::open();
  return nftables && nftables->sets(config.nft.table);
}

std::string list(const std::string& statement) {
  return netlink::list_ruleset(statement).value_or("");
}

/// Whether nft takes it as it stands: the kernel allows any bytes in a name.
bool is_plain(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool has_exception(const InTable& chain) {
  if (!is_plain(chain.table) || !is_plain(chain.name)) return false;
  return accepts_dnat(list(fmt::format("list chain {} {} {}", chain.family, chain.table, chain.name)));
}

bool is_ours(const InTable& chain, const Config& config) {
  return config.nft.mode == Mode::gate && chain.family == "inet" && chain.table == config.nft.table;
}

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
    findings.push_back({Finding::Level::warning, door.place, std::move(text), std::move(advice)});
  };
  const bool ipv4 = has_target(door, &Forward::ipv4);
  const bool ipv6 = has_target(door, &Forward::ipv6);
  if (ipv4 && !facts.forwards4)
    warn(fmt::format("door {} forwards, but this host forwards no IPv4", door.name),
         "run: sysctl -w net.ipv4.ip_forward=1");
  if (ipv6 && !facts.forwards6)
    warn(fmt::format("door {} forwards, but this host forwards no IPv6", door.name),
         "run: sysctl -w net.ipv6.conf.all.forwarding=1");
  for (const auto& chain : facts.dropping) {
    if (!(chain.family == "ip6" ? ipv6 : chain.family == "ip" ? ipv4 : true)) continue;
    warn(fmt::format("door {} forwards, but chain {} of table {} {} drops what it does not accept", door.name,
                     chain.name, chain.family, chain.table),
         fmt::format("run: nft insert rule {} {} {} ct status dnat accept", chain.family, chain.table,
                     chain.name));
  }
}

void check_flowtables(const Door& door, const HostFacts& facts, std::vector<Finding>& findings) {
  for (const auto& flowtable : facts.flowtables)
    findings.push_back(
        {Finding::Level::warning, door.place,
         fmt::format("door {} {}, but flowtable {} of table {} {} carries connections past the gate",
                     door.name, door.cut ? "cuts connections" : "closes on idle", flowtable.name,
                     flowtable.family, flowtable.table),
         fmt::format("let its rule leave this door's connections out: flow add @{}", flowtable.name)});
}

} // namespace

std::vector<InTable> parse_dropping_chains(std::string_view text) {
  std::vector<InTable> found;
  for (const auto& chain : objects(text, "chain")) {
    const auto place = place_of(chain);
    const bool routes = place.family == "ip" || place.family == "ip6" || place.family == "inet";
    if (routes && word(chain, "hook") == "forward" && word(chain, "policy") == "drop") found.push_back(place);
  }
  return found;
}

std::vector<InTable> parse_flowtables(std::string_view text) {
  std::vector<InTable> found;
  for (const auto& flowtable : objects(text, "flowtable")) found.push_back(place_of(flowtable));
  return found;
}

bool accepts_dnat(std::string_view text) {
  for (const auto& rule : objects(text, "rule")) {
    const auto statements = rule.value("expr", json::array());
    const bool accepts = std::any_of(statements.begin(), statements.end(), [](const json& statement) {
      return statement.is_object() && statement.contains("accept");
    });
    if (accepts && std::any_of(statements.begin(), statements.end(), matches_dnat)) return true;
  }
  return false;
}

HostFacts look_at_host(const Config& config) {
  HostFacts facts;
  const auto any = [&](auto&& is) { return std::any_of(config.doors.begin(), config.doors.end(), is); };
  const bool forwarded = any(forwards);
  const bool watched = any([&](const Door& door) { return needs_every_packet(door, config); });
  if (forwarded) {
    facts.forwards4 = !is_off("/proc/sys/net/ipv4/ip_forward");
    facts.forwards6 = !is_off("/proc/sys/net/ipv6/conf/all/forwarding");
  }
  if (any(needs_flows)) facts.tells_flows = !is_off("/proc/sys/net/netfilter/nf_conntrack_events");
  if ((!forwarded && !watched) || !may_list(config)) return facts;
  if (forwarded)
    for (auto& chain : parse_dropping_chains(list("list chains")))
      if (!is_ours(chain, config) && !has_exception(chain)) facts.dropping.push_back(std::move(chain));
  if (watched) facts.flowtables = parse_flowtables(list("list flowtables"));
  return facts;
}

std::vector<Finding> check_host(const Config& config, const HostFacts& facts) {
  std::vector<Finding> findings;
  for (const auto& door : config.doors) {
    if (forwards(door)) check_forwards(door, facts, findings);
    if (needs_every_packet(door, config)) check_flowtables(door, facts, findings);
    if (needs_flows(door) && !facts.tells_flows)
      findings.push_back(
          {Finding::Level::warning, door.place,
           fmt::format("door {} follows connections, but this host tells nobody of them", door.name),
           "run: sysctl -w net.netfilter.nf_conntrack_events=2"});
  }
  return findings;
}

} // namespace knock::host
