// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/firewall_check.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "host/advice.hpp"

namespace knock::host {
namespace {

constexpr std::size_t kMaxInterfaces = 8;
constexpr std::size_t kShown = 6; // ports of a finding
constexpr const char* kInVain = "a grant does not help";

std::string ports_text(const Rows& rows) {
  std::vector<std::string> shown;
  for (const auto& row : rows)
    if (shown.size() < kShown) shown.push_back(to_string(row));
  const auto more = rows.size() - shown.size();
  return fmt::format("{}{}", fmt::join(shown, " "), more == 0 ? "" : fmt::format(" and {} more", more));
}

/// What a chain does to the packets of one kind, the worst of it.
struct Dropped {
  const Door* door = nullptr; ///< the first
  std::set<Port> ports;
  Spot by;
  std::optional<Spot> unless;
};
struct Found {
  Dropped doors, forwards, published, knocks, special;
  std::set<std::string> special_steps;
  Sent sent; ///< where what is published goes
  std::optional<std::pair<const Door*, Spot>> unjudged, notrack;
  std::set<Port> hidden; ///< by notrack
};

class FirewallCheck {
 public:
  FirewallCheck(const Config& config, const HostFacts& facts, std::vector<Finding>& findings)
      : config_(config), facts_(facts), findings_(findings), gate_(config.nft.mode == Mode::gate) {
    choose_interfaces();
  }

  void run() {
    for (const auto& [name, chain] : facts_.firewall.chains) {
      if (chain.hook.empty() || chain.family == "bridge" || chain.family == "arp") continue;
      check_doors(chain);
      if (gate_) check_leads(config_, facts_, chain, budget_, findings_);
      if (budget_ == 0)
        return warn(finding::kNotJudged, config_.doors[0].place,
                    fmt::format("not judged: {} and what follows: more than {} looks at rules",
                                place_text(chain), kMaxLooks),
                    "");
    }
  }

 private:
  /// Where knocks come from: the way out, or any that is not trusted.
  void choose_interfaces() {
    const bool routed = std::any_of(facts_.interfaces.begin(), facts_.interfaces.end(),
                                    [](const auto& one) { return one.second.way_out; });
    for (const auto& [name, interface] : facts_.interfaces) {
      const auto& own = interface.addresses;
      if (name != "lo" && std::any_of(own.begin(), own.end(), grantable) &&
          (routed ? interface.way_out : !trusts_interface(config_, name)) &&
          interfaces_.size() < kMaxInterfaces)
        interfaces_.push_back(name);
    }
    if (interfaces_.empty()) interfaces_.emplace_back();
  }

  void warn(std::string_view name, const Place& place, std::string text, std::string advice) {
    findings_.push_back({Finding::Level::warning, place, std::move(text), std::move(advice), name});
  }

  static bool sees(const Chain& chain, Family family) {
    return chain.family == "inet" || chain.family == "netdev" ||
           chain.family == (family == Family::ipv4 ? "ip" : "ip6");
  }

  /// The interface by which packets leave for `address`; empty when that is not known.
  [[nodiscard]] std::string way_to(const Address& address) const {
    const Route* best = nullptr;
    for (const auto& route : facts_.routes)
      if (route.to.address.family == address.family && route.to.contains(address) &&
          (best == nullptr || route.to.length > best->to.length))
        best = &route;
    if (best != nullptr) return best->out;
    const auto out = std::find_if(facts_.interfaces.begin(), facts_.interfaces.end(),
                                  [](const auto& one) { return one.second.way_out; });
    return out == facts_.interfaces.end() ? "" : out->first;
  }

  /// Packets to this host, one for each interface that has the family.
  [[nodiscard]] std::vector<Packet> packets(const PortRange& to) const {
    std::vector<Packet> all;
    for (const auto& name : interfaces_)
      for (const auto family : {Family::ipv4, Family::ipv6}) {
        Packet packet{.family = family,
                      .protocol = to.first.protocol,
                      .ports = {{to.first.number, to.last.number}},
                      .in = name};
        if (const auto known = facts_.interfaces.find(name); known != facts_.interfaces.end())
          for (const auto& own : known->second.addresses)
            if (own.family == family && grantable(own)) packet.destinations.push_back(host(own));
        if (!packet.destinations.empty() || name.empty()) all.push_back(std::move(packet));
      }
    return all;
  }

  static Prefix host(const Address& address) {
    return {address, static_cast<std::uint8_t>(address.bytes().size() * 8)};
  }

  /// Returns whether it is dropped.
  bool ask(const Chain& chain, const Door& door, Port port, const Packet& packet, Found& found,
           Dropped& dropped) {
    if (!sees(chain, packet.family) || budget_ == 0) return false;
    const auto fate = fate_of(packet, facts_.firewall, chain, budget_);
    for (const auto& event : fate.events)
      if (event.statement->kind == Statement::Kind::notrack && chain.priority < kConntrack &&
          &dropped != &found.knocks && &dropped != &found.special && event.answer != Answer::unjudged) {
        if (!found.notrack) found.notrack = {&door, event.spot};
        found.hidden.insert(port);
      }
    const bool open = fate.unless && (!fate.dropped || fate.sure == Answer::depends);
    if (open && !found.unjudged) found.unjudged = {&door, *fate.unless};
    if (!fate.dropped || open) return false;
    if (dropped.door == nullptr) {
      dropped.door = &door;
      dropped.by = fate.by;
    }
    if (fate.unless) dropped.unless = fate.unless;
    dropped.ports.insert(port);
    return true;
  }

  /// To this host. `taken`: our chain in embed mode, where a packet that comes so far is done.
  void here(const Chain& chain, const Door& door, const PortRange& to, std::string_view taken, Found& found,
            Dropped& dropped) {
    for (auto& packet : packets(to)) {
      if (gate_ && chain.hook == "input" && led_away(config_, facts_, packet, budget_)) continue;
      if (chain.hook != "ingress" && chain.priority > kGate) packet.mark = config_.gate.mark;
      if (!gate_) packet.taken = taken;
      ask(chain, door, to.first, packet, found, dropped);
    }
  }

  /// Of a range its ends. A rule about a part of what is between them is told as not judged.
  static std::vector<Port> looked_at(const Door& door) {
    auto ports = door.opens;
    for (const auto& range : door.ranges) {
      ports.push_back(range.first);
      if (range.last != range.first) ports.push_back(range.last);
    }
    return ports;
  }

  void check_doors(const Chain& chain) {
    const bool early = chain.hook == "ingress" || chain.hook == "prerouting";
    const bool knocks =
        gate_ ? chain.hook == "ingress" || (chain.hook == "prerouting" && chain.priority <= kGate)
              : early || (chain.hook == "input" && chain.table == config_.nft.table);
    Found found;
    for (const auto& door : config_.doors) {
      if (!door.enabled || door.any) continue;
      for (Port port : looked_at(door)) {
        if (early || chain.hook == "input")
          here(chain, door, {port, port}, "knockgate_grants", found, found.doors);
        if (chain.hook == "forward") {
          beyond(chain, door, port, found);
          if (gate_) published(chain, door, port, found);
        }
      }
      for (const auto& range : door.ranges)
        if ((early || chain.hook == "input") && !found.doors.ports.contains(range.first) &&
            !found.doors.ports.contains(range.last))
          here(chain, door, range, "knockgate_grants", found, found.doors);
      for (const auto& forward : door.forwards) {
        if (early) here(chain, door, {forward.outer, forward.outer}, "", found, found.doors);
        if (chain.hook == "forward") translated(chain, door, forward, found);
      }
      if (knocks)
        for (const auto* steps : {&door.knock, &door.close_knock})
          for (const auto& [kind, pause] : *steps) check_step(chain, door, kind, found);
    }
    tell(chain, found);
  }

  /// Pings and odd flags are told as they are written: no rule about a port lets them pass.
  void check_step(const Chain& chain, const Door& door, const PacketKind& kind, Found& found) {
    if (!is_ping(kind.port) && kind.flags == 0)
      return here(chain, door, {kind.port, kind.port}, "knockgate_knocks", found, found.knocks);
    for (auto& packet : packets({kind.port, kind.port})) {
      if (is_ping(kind.port) && (kind.port.protocol == Protocol::icmp) != (packet.family == Family::ipv4))
        continue;
      if (is_ping(kind.port)) packet.ports = {{0, 0}};
      if (kind.flags != 0) packet.flags = kind.flags;
      if (!gate_) packet.taken = "knockgate_knocks";
      if (ask(chain, door, kind.port, packet, found, found.special))
        found.special_steps.insert(to_string(kind));
    }
  }

  /// To the hosts of `[gate] also`.
  void beyond(const Chain& chain, const Door& door, Port port, Found& found) {
    for (const auto& prefix : config_.gate.also)
      for (const auto& in : interfaces_)
        ask(chain, door, port,
            {prefix.address.family,
             port.protocol,
             {{port.number, port.number}},
             {prefix},
             in,
             way_to(prefix.address),
             false,
             false,
             config_.gate.mark,
             {}},
            found, found.doors);
  }

  bool sent(const Chain& chain, const Door& door, Port port, const Target& to, const std::string& in,
            Found& found, Dropped& dropped) {
    return ask(chain, door, port,
               {to.address.family,
                port.protocol,
                {{to.port, to.port}},
                {host(to.address)},
                in,
                way_to(to.address),
                false,
                true,
                config_.gate.mark,
                {}},
               found, dropped);
  }

  void translated(const Chain& chain, const Door& door, const Forward& forward, Found& found) {
    for (const auto& target : {forward.ipv4, forward.ipv6})
      for (const auto& in : interfaces_)
        if (target) sent(chain, door, forward.outer, *target, in, found, found.forwards);
  }

  /// Ports that others lead to inner hosts, as Docker does.
  void published(const Chain& chain, const Door& door, Port port, Found& found) {
    for (const auto& packet : packets({port, port}))
      if (const auto to = led_away(config_, facts_, packet, budget_);
          to && sent(chain, door, port, *to, packet.in, found, found.published))
        found.sent.insert({port.protocol, *to});
  }

  /// As the doors name them: of a range its ends were asked.
  [[nodiscard]] Rows rows_of(const std::set<Port>& ports) const {
    std::set<PortRange> rows;
    for (Port port : ports) {
      PortRange row{port, port};
      for (const auto& door : config_.doors)
        for (const auto& range : door.ranges)
          if (range.first == port || range.last == port) row = range;
      rows.insert(row);
    }
    return {rows.begin(), rows.end()};
  }

  void tell(const Chain& chain, const Found& found) {
    const auto drops = [&](std::string_view name, const Dropped& dropped, const char* does, const char* what,
                           const char* why, const std::string& advice) {
      if (dropped.door == nullptr) return;
      const auto unless = dropped.unless ? fmt::format(", unless {} accepts it, which is not judged ({})",
                                                       spot_text(chain, *dropped.unless), dropped.unless->why)
                                         : "";
      warn(name, dropped.door->place,
           fmt::format("door {} {} {}, but {} drops {} ({}){}: {}", dropped.door->name, does,
                       ports_text(rows_of(dropped.ports)), place_text(chain), what,
                       spot_text(chain, dropped.by), unless, why),
           advice);
    };
    const auto& [doors, forwards, published, knocks, special, steps, sent, unjudged, notrack, hidden] = found;
    drops(finding::kDoorDropped, doors, "opens", "it", kInVain,
          advice_for_ports(facts_.firewall, chain, rows_of(doors.ports)));
    drops(finding::kDoorDropped, forwards, "forwards", "it", kInVain, advice_for_sent(chain, {}));
    drops(finding::kDoorDropped, published, "opens", "what DNAT makes of it", kInVain,
          advice_for_sent(chain, sent));
    drops(finding::kKnockDropped, knocks, "wants knocks at", "them before they are seen", "it stays closed",
          advice_for_ports(facts_.firewall, chain, rows_of(knocks.ports)));
    if (special.door != nullptr)
      warn(finding::kKnockDropped, special.door->place,
           fmt::format(
               "door {} wants knocks {}, but {} drops them before they are seen ({}): it stays closed",
               special.door->name, fmt::join(steps, " "), place_text(chain), spot_text(chain, special.by)),
           "let that rule leave them out, or take other steps");
    if (notrack)
      warn(finding::kNotrack, notrack->first->place,
           fmt::format("{} is not tracked ({} in {}): connections end with their grant, forwards and "
                       "on-disconnect do not work",
                       ports_text(rows_of(hidden)), spot_text(chain, notrack->second), place_text(chain)),
           fmt::format("run: nft delete rule {} {} {} handle {}", chain.family, chain.table,
                       notrack->second.chain, notrack->second.handle));
    if (unjudged) findings_.push_back(not_judged(chain, *unjudged->first, unjudged->second));
  }

  const Config& config_;
  const HostFacts& facts_;
  std::vector<Finding>& findings_;
  bool gate_;
  std::vector<std::string> interfaces_; // empty name: any
  std::size_t budget_ = kMaxLooks;
};

} // namespace

std::string place_text(const Chain& chain) {
  return fmt::format("chain {} of table {} {}", chain.name, chain.family, chain.table);
}

std::string spot_text(const Chain& base, const Spot& spot) {
  if (spot.handle == 0) return "its policy";
  return fmt::format("rule handle {}{}", spot.handle,
                     spot.chain == base.name ? "" : " of chain " + spot.chain);
}

Finding not_judged(const Chain& base, const Door& door, const Spot& spot) {
  return {Finding::Level::warning, door.place,
          fmt::format("not judged: table {} {} chain {} rule handle {}: {}", base.family, base.table,
                      spot.chain, spot.handle, spot.why),
          fmt::format("look whether it lets knocks and doors pass, run: nft -a list chain {} {} {}",
                      base.family, base.table, spot.chain),
          finding::kNotJudged};
}

void check_firewall(const Config& config, const HostFacts& facts, std::vector<Finding>& findings) {
  FirewallCheck(config, facts, findings).run();
}

} // namespace knock::host
