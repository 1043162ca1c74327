// SPDX-License-Identifier: GPL-2.0-or-later
// What leads around the gate: redirect, DNAT and tproxy to a port that is guarded.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "host/firewall_check.hpp"
#include "host/json_walk.hpp"
#include "host/match.hpp"

namespace knock::host {
namespace {

using nlohmann::json;

/// Where a packet is sent instead.
struct Lead {
  const json* address = nullptr; ///< none: to this host
  const json* port = nullptr;
};

bool may_lead(const Chain& chain) {
  return (chain.family == "ip" || chain.family == "ip6" || chain.family == "inet") &&
         chain.hook == "prerouting" && chain.priority >= kGate;
}

bool overlap(const Interval& one, const Interval& other) {
  return one.first <= other.last && other.first <= one.last;
}

class LeadCheck {
 public:
  LeadCheck(const Config& config, const HostFacts& facts, const Chain& chain)
      : config_(config), facts_(facts), chain_(chain) {}

  void check(std::size_t& budget, std::vector<Finding>& findings) const {
    std::set<std::uint64_t> told;
    for (const auto protocol : {Protocol::tcp, Protocol::udp})
      for (const auto family : {Family::ipv4, Family::ipv6}) {
        if (chain_.family == (family == Family::ipv4 ? "ip6" : "ip")) continue;
        const Packet packet{.family = family, .protocol = protocol, .ports = unguarded(protocol)};
        if (packet.ports.empty()) continue;
        const auto fate = fate_of(packet, facts_.firewall, chain_, budget);
        for (const auto& event : fate.events)
          if (const auto* door = door_behind(event, protocol);
              door != nullptr && told.insert(event.spot.handle).second)
            findings.push_back(finding_of(*door, event, protocol));
        if (fate.unless && fate.sure == Answer::unjudged && told.empty()) {
          told.insert(fate.unless->handle);
          findings.push_back(not_judged(chain_, *guards(protocol, 0, 65'535), *fate.unless));
        }
      }
  }

  [[nodiscard]] std::optional<Target> away(const Packet& packet, std::size_t& budget) const {
    for (const auto& event : fate_of(packet, facts_.firewall, chain_, budget).events) {
      if (event.statement->kind != Statement::Kind::lead || event.answer != Answer::yes) continue;
      const auto leads = leads_of(*event.statement);
      if (leads.size() != 1 || leads[0].address == nullptr || is_ours(leads[0])) return {};
      const auto address = parse_address(text_of(*leads[0].address));
      const auto port =
          leads[0].port->is_number_unsigned() ? leads[0].port->get<std::uint16_t>() : packet.ports[0].first;
      return address ? std::optional(Target{*address, port}) : std::nullopt;
    }
    return {};
  }

 private:
  /// A door that guards one of these ports.
  [[nodiscard]] const Door* guards(Protocol protocol, unsigned first, unsigned last) const {
    for (const auto& door : config_.doors)
      if (door.enabled && !door.any)
        for (Port port : opened_by(door))
          if (port.protocol == protocol && first <= port.number && port.number <= last) return &door;
    return nullptr;
  }

  /// All ports of a protocol that has guarded ones, but these.
  [[nodiscard]] decltype(Packet::ports) unguarded(Protocol protocol) const {
    std::set<unsigned> guarded;
    for (const auto& door : config_.doors)
      for (Port port : opened_by(door))
        if (door.enabled && !door.any && port.protocol == protocol) guarded.insert(port.number);
    if (guarded.empty()) return {};
    guarded.insert(65'536);
    decltype(Packet::ports) gaps;
    unsigned next = 1;
    for (const auto number : guarded) {
      if (number > next) gaps.emplace_back(next, number - 1);
      next = number + 1;
    }
    return gaps;
  }

  [[nodiscard]] std::vector<Lead> leads_of(const Statement& statement) const {
    const auto& address = at_or_null(statement.value, "addr");
    const auto [kind, map] = only(address);
    std::vector<Lead> leads;
    if (kind != "map") {
      const bool here = statement.name != "dnat";
      leads.push_back({here ? nullptr : &address, &at_or_null(statement.value, "port")});
      return leads;
    }
    const Packet none;
    const auto* pairs = Judge(none, facts_.firewall, chain_).values_in(at_or_null(*map, "data"), chain_);
    if (pairs == nullptr) return leads;
    for (const auto& pair : *pairs) {
      if (!pair.is_array() || pair.size() != 2) continue;
      const auto& parts = at_or_null(pair[1], "concat");
      if (parts.is_array() && parts.size() == 2) leads.push_back({&parts[0], &parts[1]});
    }
    return leads;
  }

  [[nodiscard]] bool is_ours(const Lead& lead) const {
    if (lead.address == nullptr) return true;
    const auto to = read_value(Field::destination, *lead.address);
    if (!to) return false;
    for (const auto& [name, interface] : facts_.interfaces)
      for (const auto& own : interface.addresses)
        if (overlap(*to, interval_of({own, static_cast<std::uint8_t>(own.bytes().size() * 8)}))) return true;
    return std::any_of(config_.gate.also.begin(), config_.gate.also.end(),
                       [&](const Prefix& prefix) { return overlap(*to, interval_of(prefix)); });
  }

  /// The door whose guarded port it leads to.
  [[nodiscard]] const Door* door_behind(const Event& event, Protocol protocol) const {
    if (event.statement->kind != Statement::Kind::lead) return nullptr;
    for (const auto& lead : leads_of(*event.statement)) {
      const auto ports = read_value(Field::port, *lead.port);
      if (!ports || !is_ours(lead)) continue;
      const auto number = [](const Word& word) { return word[14] * 256U + word[15]; };
      if (const auto* door = guards(protocol, number(ports->first), number(ports->last))) return door;
    }
    return nullptr;
  }

  [[nodiscard]] Finding finding_of(const Door& door, const Event& event, Protocol protocol) const {
    const bool one = event.port != nullptr && event.port->is_number_unsigned();
    const auto from =
        one ? fmt::format("{}/{}", to_string(protocol), event.port->get<std::uint64_t>()) : "other ports";
    return {Finding::Level::warning, door.place,
            fmt::format("{} leads {} to a port that door {} guards, past the gate ({})", place_text(chain_),
                        from, door.name, spot_text(chain_, event.spot)),
            fmt::format("guard {} too (opens of door {}), or run: nft delete rule {} {} {} handle {}",
                        one ? "it" : "them", door.name, chain_.family, chain_.table, event.spot.chain,
                        event.spot.handle),
            finding::kRedirect};
  }

  const Config& config_;
  const HostFacts& facts_;
  const Chain& chain_;
};

} // namespace

void check_leads(const Config& config, const HostFacts& facts, const Chain& chain, std::size_t& budget,
                 std::vector<Finding>& findings) {
  if (may_lead(chain)) LeadCheck(config, facts, chain).check(budget, findings);
}

std::optional<Target> led_away(const Config& config, const HostFacts& facts, const Packet& packet,
                               std::size_t& budget) {
  for (const auto& [name, chain] : facts.firewall.chains)
    if (may_lead(chain) && chain.family != (packet.family == Family::ipv4 ? "ip6" : "ip"))
      if (const auto to = LeadCheck(config, facts, chain).away(packet, budget)) return to;
  return {};
}

} // namespace knock::host
