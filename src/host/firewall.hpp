// SPDX-License-Identifier: GPL-2.0-or-later
/// Firewall: the rules of all tables, and what they do to a packet of which little is known.
///
/// In:     what `nft -j list` prints, the bytes of iptables' extensions, elements of named sets; a packet.
/// Out:    its end in one base chain, the rule that makes it, and the rules that might turn it.
/// Errors: what is not understood is Kind::unjudged or Answer::unjudged; text that is no JSON holds no rule.
/// Time:   bounded by a budget of looks at rules.
/// Source: libnftables-json(5); nft(8); nf_tables_core.c: nft_do_chain; linux/netfilter_ipv4.h for priorities.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>

#include <knock/address.hpp>
#include <knock/flags.hpp>
#include <knock/port.hpp>

#include "wire/extension.hpp"

namespace knock::host {

/// NF_IP_PRI_CONNTRACK: before it no packet has a connection.
inline constexpr int kConntrack = -200;

struct Statement {
  enum class Kind : std::uint8_t { match, verdict, map, lead, notrack, never, unjudged };
  Kind kind = Kind::unjudged;
  std::string name; ///< "match", "jump", "dnat", ...
  nlohmann::json value;
};

struct Rule {
  std::uint64_t handle = 0;
  std::vector<Statement> statements; ///< without those that every packet passes
};

struct Chain {
  std::string family, table, name;
  std::string hook; ///< empty: no base chain
  int priority = 0;
  bool drops = false; ///< its policy
  std::vector<Rule> rules;
};

using Name = std::tuple<std::string, std::string, std::string>; ///< family, table, name

struct Set {
  nlohmann::json type;
  bool map = false;
  std::optional<nlohmann::json> elements; ///< nothing: not read
};

struct Firewall {
  std::map<Name, Chain> chains;
  std::map<Name, Set> sets;
  std::set<Name> flowtables;
  bool sets_marks = false; ///< some rule does, on packets or connections
};

/// A chain, set or flowtable may stand in several listings, a rule in one. `extended`: of the same tables.
Firewall parse_firewall(const std::vector<std::string>& listings,
                        const std::vector<wire::ExtendedRule>& extended);
/// Adds the elements that `nft -j list set` (or map) shows.
void read_elements(std::string_view json, Firewall& firewall);

/// A new connection, or a knock, as the kernel would see it.
struct Packet {
  Family family = Family::ipv4;
  Protocol protocol = Protocol::tcp;
  std::vector<std::pair<std::uint16_t, std::uint16_t>> ports{}; ///< ranges: any of them
  std::vector<Prefix> destinations{};                           ///< empty: any
  std::string in{};                                             ///< interface; empty: any
  std::string out{};                                            ///< likewise, when it goes through this host
  bool here = true;                                             ///< to this host, not through it
  bool translated = false;                                      ///< by DNAT
  std::uint32_t mark = 0;
  std::uint8_t flags = kTcpSyn; ///< TCP; an ICMP packet is an echo request
  /// A chain that is ours inside the table of an admin: a packet that comes there is done.
  std::string_view taken{};
};

/// In the order of how little is known.
enum class Answer : std::uint8_t { no, yes, depends, unjudged };

/// A rule, and what it asks.
struct Spot {
  std::string chain;
  std::uint64_t handle = 0; ///< 0: the policy
  std::string why;
};

/// A statement that sends the packet elsewhere, or hides it from conntrack, and may see it.
struct Event {
  const Statement* statement = nullptr;
  const nlohmann::json* port = nullptr; ///< what the last look at the port on the way there takes
  Spot spot;
  Answer answer = Answer::yes;
};

struct Fate {
  bool dropped = false;
  Spot by;                    ///< what drops it
  std::optional<Spot> unless; ///< a rule that is open or not judged, and would turn it
  Answer sure = Answer::yes;  ///< depends, unjudged: because of `unless`
  std::vector<Event> events;
};

/// What becomes of `packet` in base chain `chain`. An ordinary source: one that no rule names.
/// `budget` goes down by one a rule; at 0 the rest is not judged.
Fate fate_of(const Packet& packet, const Firewall& firewall, const Chain& chain, std::size_t& budget);

} // namespace knock::host
