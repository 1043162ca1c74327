// SPDX-License-Identifier: GPL-2.0-or-later
// What rules do to a packet: rulesets as their .nft says, captured with `nft -j list ruleset` (1.0.6).
#include "host/firewall.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "../harness/recorded.hpp"
#include "host/extension_read.hpp"
#include "host/host_check.hpp"

using namespace knock;
using namespace knock::host;

namespace {

std::string read_whole(const std::string& name) {
  std::ifstream file(std::string(KNOCKGATE_RULESETS) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Firewall load(const std::string& name) {
  std::vector<wire::ExtendedRule> extended;
  const auto bytes = read_whole(name + ".extensions"); // of iptables alone
  wire::Bytes aligned(bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(aligned.data()));
  wire::for_each_message(aligned, [&](const nlmsghdr* message) {
    const auto rule = wire::parse_extended_rule(message);
    REQUIRE(rule);
    extended.push_back(*rule);
  });
  auto firewall = parse_firewall({read_whole(name + ".json")}, extended);
  REQUIRE_FALSE(firewall.chains.empty());
  return firewall;
}

Packet to(std::string_view port, std::string in = "wan0", Family family = Family::ipv4) {
  const auto parsed = parse_port(port).value();
  Packet packet;
  packet.family = family;
  packet.protocol = parsed.protocol;
  packet.ports = {{parsed.number, parsed.number}};
  packet.in = std::move(in);
  return packet;
}

/// "accepted", "dropped by RULE", and who might turn it.
std::string fate(const Firewall& firewall, const Name& chain, const Packet& packet) {
  std::size_t budget = 100'000;
  const auto fate = fate_of(packet, firewall, firewall.chains.at(chain), budget);
  std::string text =
      fate.dropped ? "dropped by " + fate.by.chain + (fate.by.handle == 0 ? "'s policy" : "") : "accepted";
  if (fate.unless) text += (fate.sure == Answer::depends ? ", depends on " : ", unless ") + fate.unless->why;
  return text;
}

const Name kHand{"inet", "filter", "input"};
const Name kZones{"inet", "firewalld", "filter_INPUT"};
const Name kForward{"ip", "filter", "FORWARD"};
const Name kUser{"ip", "filter", "INPUT"};

Config config(std::string ports, const std::string& more = {}) {
  const auto parsed = parse_config(std::vector{
      ConfigText{"k.toml",
                 "[door.a]\nopens = [" + ports +
                     "]\nknock = [\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"]\n" + more,
                 ConfigText::Part::main}});
  REQUIRE(parsed.config);
  return *parsed.config;
}

std::vector<std::string> findings(const Config& config, Firewall firewall, HostFacts facts = {}) {
  facts.firewall = std::move(firewall);
  facts.interfaces["wan0"] = {{*parse_address("192.0.2.1")}, true};
  facts.interfaces["lan0"] = {{*parse_address("10.0.0.1")}, false};
  std::vector<std::string> lines;
  for (const auto& finding : check_host(config, facts)) lines.push_back(to_string(finding));
  return lines;
}

bool has(const std::vector<std::string>& lines, std::string_view part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const auto& line) { return line.find(part) != line.npos; });
}

} // namespace

TEST_CASE("a hand-written chain: ports, sets, ranges, sources, limits, maps") {
  const auto firewall = load("hand");
  CHECK(fate(firewall, kHand, to("tcp/80")) == "accepted");                  // a named set
  CHECK(fate(firewall, kHand, to("tcp/22")) == "dropped by input's policy"); // some sources only
  CHECK(fate(firewall, kHand, to("tcp/22", "lan7")) == "accepted");
  CHECK(fate(firewall, kHand, to("tcp/2200")) == "accepted"); // below the limit
  CHECK(fate(firewall, kHand, to("tcp/2211")) == "accepted"); // by a jump
  CHECK(fate(firewall, kHand, to("tcp/2215")) == "dropped by input's policy");
  CHECK(fate(firewall, kHand, to("tcp/2290")) == "dropped by input");
  CHECK(fate(firewall, kHand, to("udp/80")) == "dropped by input's policy");
  CHECK(fate(firewall, kHand, to("tcp/9999")) == "dropped by input's policy, depends on ttl");
  CHECK(fate(firewall, kHand, to("tcp/7777")) == "dropped by input's policy, unless transparent");
  auto marked = to("tcp/22");
  marked.mark = 0x10;
  CHECK(fate(firewall, kHand, marked) == "accepted");
}

TEST_CASE("a rule about a part of a wide range is not passed over") {
  const auto rule = [](const std::string& ports, const std::string& does) {
    return R"({"rule": {"family": "inet", "table": "fw", "chain": "input", "handle": 3, "expr": [
      {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": )" +
           ports + "}}, {\"" + does + "\": null}]}}";
  };
  const auto told = [&](const std::string& policy, const std::string& rules) {
    return findings(
        config("\"udp/60000-61000\""),
        parse_firewall({R"({"nftables": [{"chain": {"family": "inet", "table": "fw", "name": "input",
      "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": ")" +
                        policy + "\"}}, " + rules + "]}"},
                       {}));
  };
  CHECK(has(told("accept", rule("60500", "drop")), "not judged: table inet fw chain input rule handle 3"));
  CHECK(has(told("drop", rule(R"({"set": [60000, 61000]})", "accept")), "not judged: "));
  CHECK_FALSE(has(told("drop", rule(R"({"range": [60000, 61000]})", "accept")), "fw"));
  CHECK_FALSE(has(told("accept", rule("61001", "drop")), "fw"));
  const auto most = told("drop", rule(R"({"range": [60000, 60010]})", "accept"));
  CHECK(has(most, "opens udp/60000-61000, but"));
  CHECK_FALSE(has(most, "not judged"));
}

TEST_CASE("zones are chosen by interface, and a goto does not come back") {
  const auto firewall = load("zones");
  CHECK(fate(firewall, kZones, to("tcp/443")) == "accepted");
  CHECK(fate(firewall, kZones, to("udp/5005", "wan0", Family::ipv6)) == "accepted");
  CHECK(fate(firewall, kZones, to("tcp/22")) == "dropped by filter_INPUT");
  CHECK(fate(firewall, kZones, to("tcp/23")) == "dropped by filter_INPUT"); // behind the goto
  CHECK(fate(firewall, kZones, to("tcp/22", "lan0")) == "accepted");
  CHECK(fate(firewall, kZones, to("tcp/22", "")).starts_with("dropped by filter_INPUT, depends on"));
}

TEST_CASE("ufw: its chains come back for a local address, and the chain of the user decides" *
          doctest::skip(kOtherByteOrder)) {
  const auto firewall = load("ufw");
  CHECK(fate(firewall, kUser, to("tcp/443")) == "accepted");
  CHECK(fate(firewall, kUser, to("tcp/8005")) == "accepted"); // multiport
  CHECK(fate(firewall, kUser, to("tcp/9000")) == "accepted");
  CHECK(fate(firewall, kUser, to("tcp/2200")) == "accepted"); // limit: the sixth within 30 s is not
  CHECK(fate(firewall, kUser, to("tcp/25")) == "dropped by ufw-user-input");
  CHECK(fate(firewall, kUser, to("tcp/22")) == "dropped by INPUT's policy"); // some sources only
  CHECK(fate(firewall, kUser, to("udp/53", "lan0")) == "accepted");
  CHECK(fate(firewall, kUser, to("udp/137")) == "dropped by ufw-skip-to-policy-input");
  const auto lines = findings(config("\"tcp/22\", \"udp/53\""), firewall);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] ==
        "k.toml:1:7: warning: door a opens tcp/22 udp/53, but chain INPUT of table ip filter drops it (its "
        "policy): a grant does not help [door-dropped]; run: ufw allow proto tcp to any "
        "port 22; "
        "ufw allow proto udp to any port 53");
  CHECK(findings(config("\"tcp/443\""), firewall).empty());
  const auto range = findings(config("\"tcp/22\", \"udp/60000-61000\""), firewall);
  CHECK(has(range, "opens tcp/22 udp/60000-61000, but"));
  CHECK(has(range, "ufw allow proto udp to any port 60000:61000"));
  // multiport takes 15 ports, a range is two of them
  const auto many = findings(
      config("\"tcp/1\", \"tcp/3\", \"tcp/5\", \"tcp/7\", \"tcp/9\", \"tcp/11\", \"tcp/13\", \"tcp/15\", "
             "\"tcp/17\", \"tcp/19\", \"tcp/21\", \"tcp/25\", \"tcp/29\", \"tcp/31\", \"tcp/60000-61000\""),
      firewall);
  CHECK(has(many, "ufw allow proto tcp to any port 1,3,5,7,9,11,13,15,17,19,21,25,29,31; "
                  "ufw allow proto tcp to any port 60000:61000"));
  CHECK(has(findings(config("\"udp/60000-61000\""), load("hand")), "input udp dport { 60000-61000 } accept"));
}

TEST_CASE("Docker: what was translated is judged by where it goes, and published ports by where they lead" *
          doctest::skip(kOtherByteOrder)) {
  const auto firewall = load("docker");
  auto packet = to("tcp/80");
  packet.here = false;
  packet.translated = true;
  packet.destinations = {*parse_prefix("198.51.100.2/32")};
  CHECK(fate(firewall, kForward, packet) == "dropped by FORWARD's policy, depends on oifname");
  packet.out = "docker0";
  CHECK(fate(firewall, kForward, packet) == "accepted");
  packet.out = "lan0";
  CHECK(fate(firewall, kForward, packet) == "dropped by FORWARD's policy");
  packet.out = "docker0";
  packet.destinations = {*parse_prefix("198.51.100.3/32")};
  CHECK(fate(firewall, kForward, packet) == "dropped by FORWARD's policy");
  const auto lines = findings(config("\"tcp/22\", \"tcp/80\""), firewall);
  REQUIRE(lines.size() == 1);
  CHECK(has(lines,
            "chain PREROUTING of table ip nat leads tcp/2022 to a port that door a guards, past the gate"));
  CHECK(findings(config("\"tcp/2022\", \"tcp/22\""), firewall).empty()); // guarded itself
}

TEST_CASE("a published port is judged where DNAT sends it, and mended by iptables, which reads its own rules "
          "alone" *
          doctest::skip(kOtherByteOrder)) {
  auto firewall = load("docker");
  HostFacts facts;
  facts.routes = {{*parse_prefix("198.51.100.0/24"), "docker0"}};
  firewall.chains[kUser] = {"ip", "filter", "INPUT", "input", 0, true, {}}; // it does not come there
  CHECK(findings(config("\"tcp/8080\""), firewall, facts).empty());
  CHECK(has(findings(config("\"tcp/22\", \"udp/60000-61000\""), firewall, facts),
            "run: iptables -I INPUT -p tcp --dport 22 -j ACCEPT; "
            "iptables -I INPUT -p udp --dport 60000:61000 -j ACCEPT"));
  const auto lines = findings(config("\"udp/5300\""), firewall, facts);
  REQUIRE(lines.size() == 1);
  CHECK(has(lines, "door a opens udp/5300, but chain FORWARD of table ip filter drops what DNAT makes of it "
                   "(its policy)"));
  CHECK(has(
      lines,
      "run: iptables -I FORWARD -d 198.51.100.3 -p udp --dport 53 -m conntrack --ctstate DNAT -j ACCEPT"));
}

TEST_CASE("extensions of iptables: what their bytes say is judged, what is not known is named" *
          doctest::skip(kOtherByteOrder)) {
  const auto firewall = load("iptables");
  CHECK(fate(firewall, kUser, to("tcp/443")) == "accepted"); // multiport
  CHECK(fate(firewall, kUser, to("tcp/1005")) == "accepted");
  CHECK(fate(firewall, kUser, to("tcp/22")) == "accepted");           // hashlimit
  CHECK(fate(firewall, kUser, to("tcp/2222")) == "accepted");         // --syn
  CHECK(fate(firewall, kUser, to("tcp/2224")) == "accepted");         // connlimit
  CHECK(fate(firewall, kUser, to("tcp/2225")) == "dropped by INPUT"); // recent, iprange, mac: some sources
  CHECK(fate(firewall, kUser, to("tcp/2226")) == "dropped by INPUT, unless xt time");
  CHECK(fate(firewall, {"ip", "raw", "PREROUTING"}, to("tcp/2225")) == "accepted"); // rpfilter
  const auto lines = findings(config("\"tcp/22\", \"tcp/2222\", \"udp/2223\""), firewall);
  CHECK(has(lines, "tcp/2222 udp/2223 is not tracked (rule handle"));
  CHECK(has(lines, "nat leads tcp/2223 to a port that door a guards")); // DNAT to an own address
  CHECK_FALSE(has(lines, "leads tcp/2222"));                            // guarded itself
  CHECK(has(findings(config("\"tcp/22\""), firewall),
            "nat leads tcp/2222 to a port that door a guards")); // REDIRECT
}

TEST_CASE("an ipset of sources holds no ordinary one, another holds what is not known") {
  const auto with_flags = [](std::uint8_t flags) { // index, dimensions, flags: xt_set_info
    return as_statement({"set", 4, {std::byte{1}, std::byte{0}, std::byte{1}, std::byte{flags}}}, "ip");
  };
  CHECK(with_flags(2).contains("never")); // src
  CHECK(with_flags(3).is_null());         // ! src
  CHECK(with_flags(0).contains("match")); // dst
  CHECK(as_statement({"set", 0, {}}, "ip").contains("xt"));
}

TEST_CASE("without its bytes an extension is not judged") {
  const auto firewall = parse_firewall({read_whole("ufw.json")}, {});
  CHECK(fate(firewall, kUser, to("tcp/443")).ends_with(", depends on xt conntrack"));
}

TEST_CASE("findings of one firewall: dropped, redirected, not tracked, not judged, and accepted by name") {
  const auto lines = findings(
      config("\"tcp/22\", \"tcp/80\", \"tcp/8080\", \"tcp/9999\"", "[door.b]\nopens = [\"udp/5353\"]\n"),
      load("hand"));
  CHECK(has(lines, "door a opens tcp/22 tcp/8080 and 1 more, but") == false);
  CHECK(has(lines, "door a opens tcp/22 udp/5353 tcp/8080") == false);
  CHECK(has(lines,
            "opens tcp/22 tcp/8080 udp/5353, but chain input of table inet filter drops it (its policy)"));
  CHECK(
      has(lines,
          "run: nft insert rule inet filter input tcp dport { 22, 8080 } accept; nft insert rule inet filter "
          "input udp dport { 5353 } accept"));
  CHECK(has(lines, "door b opens udp/5353, but chain raw of table inet filter drops it (rule handle"));
  CHECK(has(lines, "tcp/2222 to a port that door a guards, past the gate"));
  CHECK(has(lines, "tcp/2223 to a port that door a guards, past the gate"));
  CHECK_FALSE(has(lines, "tcp/8022"));
  CHECK(has(lines, "tcp/8080 is not tracked (rule handle"));
  CHECK(has(lines, "not judged: table inet filter chain input rule handle"));
  const auto accepted =
      findings(config("\"tcp/22\"", "[check]\naccept = [\"door-dropped\", \"redirect\"]\n"), load("hand"));
  CHECK(accepted.empty());
}

TEST_CASE("a knock is dropped before it is seen only by what stands before the gate") {
  auto with_knock = config("\"tcp/80\"");
  with_knock.doors[0].knock[1] = {{Protocol::udp, 5353}};
  const auto lines = findings(with_knock, load("hand"));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find(
            "door a wants knocks at udp/5353, but chain raw of table inet filter drops them before they are "
            "seen") != std::string::npos);
  CHECK(lines[0].find("[knock-dropped]; run: nft insert rule inet filter raw udp dport { 5353 } accept") !=
        std::string::npos);
}

TEST_CASE("what is no ruleset holds nothing, and ten thousand rules are looked at in bounded time") {
  for (const auto* text :
       {"", "{", "[]", R"({"nftables": 1})", R"({"nftables": [1, {"chain": 2}, {"rule": {"expr": 3}}]})"})
    CHECK(parse_firewall({text}, {}).chains.empty());
  std::string many =
      R"({"nftables": [{"chain": {"family": "inet", "table": "t", "name": "c", "hook": "input", "prio": 0, "policy": "drop"}})";
  for (int i = 0; i < 10'000; ++i)
    many +=
        R"(,{"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 1, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 1}}, {"accept": null}]}})";
  many += "]}";
  const auto firewall = parse_firewall({many}, {});
  CHECK(firewall.chains.at({"inet", "t", "c"}).rules.size() == 10'000);
  CHECK(fate(firewall, {"inet", "t", "c"}, to("tcp/22")) == "dropped by c's policy");
  std::size_t budget = 100;
  const auto cut = fate_of(to("tcp/22"), firewall, firewall.chains.at({"inet", "t", "c"}), budget);
  CHECK(cut.unless);
  CHECK(budget == 0);
}
