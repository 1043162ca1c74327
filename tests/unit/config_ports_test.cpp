// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/config.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace knock;

namespace {

ParsedConfig parse(std::string text, ConfigText::Part part = ConfigText::Part::main) {
  return parse_config(std::vector{ConfigText{"k.toml", std::move(text), part}});
}

std::string first_error(std::string text) {
  const auto parsed = parse(std::move(text));
  return parsed.config || parsed.findings.empty() ? "" : to_string(parsed.findings[0]);
}

/// All warnings but those on knocks, which no door here has.
std::vector<std::string> warnings(std::string text) {
  std::vector<std::string> found;
  for (const auto& finding : parse(std::move(text)).findings)
    if (auto line = to_string(finding); line.find("has no knock") == std::string::npos) found.push_back(line);
  return found;
}

Door first_door(std::string text) {
  const auto parsed = parse(std::move(text));
  for (const auto& finding : parsed.findings) CAPTURE(to_string(finding));
  REQUIRE(parsed.config);
  return parsed.config->doors.at(0);
}

std::string opening(const std::string& name, const std::string& ports, const std::string& more = "") {
  return "[door." + name + "]\nopens = [" + ports + "]\n" + more;
}

std::string forwarding(const std::string& entries, const std::string& more = "") {
  return "[door.web]\nforward = { " + entries + " }\n" + more;
}

Forward forward_of(const char* outer, const char* ipv4, const char* ipv6) {
  Forward forward{*parse_port(outer), {}, {}};
  if (ipv4 != nullptr) forward.ipv4 = parse_target(ipv4);
  if (ipv6 != nullptr) forward.ipv6 = parse_target(ipv6);
  return forward;
}

const std::string kAny = opening("all", "\"any\"");
const std::string kWeb = forwarding("\"tcp/8443\" = [\"192.0.2.20:443\", \"[2001:db8::20]:443\"]");

} // namespace

TEST_CASE("a forwarded port leads to one host of each family, and opens a door alone") {
  const auto door =
      first_door(forwarding("\"udp/53\" = \"[2001:db8::20]:5353\", \"tcp/80\" = \"192.0.2.20:8080\", "
                            "\"tcp/443\" = [\"[2001:db8::20]:443\", \"192.0.2.20:443\"]"));
  CHECK(door.opens.empty());
  CHECK(door.forwards == std::vector{forward_of("tcp/80", "192.0.2.20:8080", nullptr),
                                     forward_of("tcp/443", "192.0.2.20:443", "[2001:db8::20]:443"),
                                     forward_of("udp/53", nullptr, "[2001:db8::20]:5353")});
}

TEST_CASE("what is no forward is refused with its place") {
  const auto refused = [](const std::string& entries) { return first_error(forwarding(entries)); };
  CHECK(first_error("[door.web]\nforward = \"192.0.2.20:443\"\n")
            .starts_with("k.toml:2:11: error: forward must be a table"));
  CHECK(refused("").starts_with("k.toml:2:11: error: forward has 0 entries; write 1 to 8"));
  std::string nine;
  for (int i = 1; i <= 9; ++i)
    nine += (i > 1 ? ", \"tcp/" : "\"tcp/") + std::to_string(i) + "\" = \"192.0.2.1:1\"";
  CHECK(refused(nine).starts_with("k.toml:2:11: error: forward has 9 entries"));
  CHECK(refused("\"8443\" = \"192.0.2.20:443\"")
            .starts_with("k.toml:2:13: error: \"8443\" is no port; write \"tcp/8443\""));
  CHECK(refused("\"tcp/1-2\" = \"192.0.2.20:443\"").starts_with("k.toml:2:13: error: "));
  CHECK(refused("\"tcp/1\" = 5").starts_with("k.toml:2:23: error: tcp/1 must be a string, not an integer"));
  for (const char* target : {"192.0.2.20", "192.0.2.20:0", "2001:db8::20:443", "host:443", ""}) {
    CAPTURE(target);
    CHECK(
        refused("\"tcp/1\" = \"" + std::string(target) + "\"").starts_with("k.toml:2:23: error: tcp/1 = \""));
  }
  CHECK(refused("\"tcp/1\" = [\"192.0.2.20:443\"]")
            .starts_with("k.toml:2:23: error: tcp/1 has 1 entries; write 2 of them"));
  CHECK(refused("\"tcp/1\" = [\"192.0.2.20:443\", \"x\"]")
            .starts_with("k.toml:2:42: error: \"x\" is no target"));
  CHECK(refused("\"tcp/1\" = [\"192.0.2.20:443\", \"192.0.2.21:443\"]")
            .starts_with(
                "k.toml:2:42: error: tcp/1 has two targets of IPv4; write one, or one of each family"));
  CHECK(refused("\"tcp/1\" = [\"[2001:db8::1]:1\", \"[2001:db8::2]:1\"]").find("two targets of IPv6") !=
        std::string::npos);
  CHECK(refused("\"tcp/1\" = \"192.0.2.1:1\", \"tcp/1\" = \"192.0.2.1:1\"")
            .starts_with(
                "k.toml:2:38: error: \"tcp/1\" stands twice, first at k.toml:2:13; remove one of them"));
}

TEST_CASE("a forwarded port belongs to one door") {
  CHECK(
      first_error(kWeb +
                  "[door.b]\nforward = { \"tcp/1\" = \"192.0.2.1:1\", \"tcp/8443\" = \"192.0.2.1:1\" }\n")
          .starts_with(
              "k.toml:4:38: error: tcp/8443 is forwarded by door b and forwarded by door web (k.toml:1:7);"));
  CHECK(first_error(kWeb + opening("b", "\"tcp/22\", \"tcp/8440-8450\""))
            .starts_with(
                "k.toml:4:20: error: tcp/8443 is opened by door b and forwarded by door web (k.toml:1:7);"));
  CHECK(first_error(opening("b", "\"tcp/8443\"") + kWeb)
            .starts_with(
                "k.toml:4:13: error: tcp/8443 is forwarded by door web and opened by door b (k.toml:1:7);"));
  CHECK(
      first_error(kWeb + "opens = [\"tcp/8443\"]\n")
          .starts_with(
              "k.toml:2:13: error: tcp/8443 is forwarded by door web and opened by door web (k.toml:1:7);"));
  CHECK(parse(kWeb + opening("b", "\"tcp/8443\"", "enabled = false\n")).config);
  CHECK(parse(kWeb + opening("b", "\"udp/8443\"")).config);
  CHECK(parse(opening("a", "\"tcp/22\"") + opening("b", "\"tcp/22\"")).config);
}

TEST_CASE("a forwarded port is guarded, so nobody can knock there") {
  CHECK(first_error(kWeb + "knock = [\"tcp/7143\", \"tcp/8443\"]\n")
            .starts_with("k.toml:3:22: error: tcp/8443 is guarded by door web (k.toml:1:7); knock at"));
}

TEST_CASE("a grant lets in the address, or all of its subnet") {
  const auto lengths = [](const std::string& grant) {
    const auto door = first_door(opening("x", "\"tcp/22\"", grant));
    return std::pair<int, int>(door.prefix4, door.prefix6);
  };
  CHECK(lengths("") == std::pair(32, 128));
  CHECK(lengths("grant = \"/24\"\n") == std::pair(24, 128));
  CHECK(lengths("grant = \"/64\"\n") == std::pair(32, 64));
  CHECK(lengths("grant = [\"/24\", \"/64\"]\n") == std::pair(24, 64));
  for (const char* other : {"\"/16\"", "\"/32\"", "\"24\"", "[\"/64\", \"/24\"]", "[\"/24\", \"/48\"]"}) {
    CAPTURE(other);
    CHECK(first_error(opening("x", "\"tcp/22\"", "grant = " + std::string(other) + "\n"))
              .starts_with(
                  "k.toml:3:9: error: grant is neither the /24 of IPv4 nor the /64 of IPv6; write \"/24\", "
                  "\"/64\" or both"));
  }
  CHECK(first_error(opening("x", "\"tcp/22\"", "grant = 24\n"))
            .starts_with("k.toml:3:9: error: grant must be a string"));
  CHECK(first_error(kWeb + "grant = \"/24\"\n").find("forward does not go with grant") != std::string::npos);
}

TEST_CASE("a door that opens any port has those of all other doors") {
  const auto door =
      first_door(kAny + kWeb + opening("b", "\"udp/53\", \"tcp/22\"") + opening("c", "\"tcp/22\"") +
                 opening("d", "\"tcp/80\"", "enabled = false\n") + opening("e", "\"any\""));
  CHECK(door.any);
  CHECK(door.opens == std::vector{*parse_port("tcp/22"), *parse_port("udp/53")});
  CHECK(door.forwards == std::vector{forward_of("tcp/8443", "192.0.2.20:443", "[2001:db8::20]:443")});
}

TEST_CASE("any stands alone, and with nothing that is a matter of one port") {
  CHECK(first_error(opening("x", "\"tcp/22\", \"any\""))
            .starts_with("k.toml:2:20: error: \"any\" stands with other ports"));
  const auto b = opening("b", "\"tcp/22\"");
  CHECK(first_error(b + kAny + "uses = 1\n")
            .starts_with("k.toml:5:1: error: uses does not go with opens = [\"any\"]"));
  CHECK(first_error(b + kAny + "flows = \"keep\"\n")
            .starts_with("k.toml:5:1: error: flows does not go with opens = [\"any\"]"));
  CHECK(first_error(b + kAny + "forward = { \"tcp/1\" = \"192.0.2.1:1\" }\n")
            .starts_with("k.toml:5:1: error: forward does not go with opens = [\"any\"]"));
  CHECK(first_error(kWeb + kAny + "grant = \"/24\"\n")
            .starts_with("k.toml:5:1: error: grant does not go with forward, and door all opens those of "
                         "door web (k.toml:1:7);"));
  CHECK(parse(b + kAny + "grant = \"/24\"\n").config);
}

TEST_CASE("any is nothing without another door, and has an end") {
  const auto nothing = "k.toml:2:9: error: door all opens any port, and no other door has one;";
  CHECK(first_error(kAny).starts_with(nothing));
  CHECK(first_error(kAny + opening("b", "\"tcp/22\"", "enabled = false\n")).starts_with(nothing));
  CHECK(parse(kAny + "enabled = false\n").config);
  CHECK(parse(kAny, ConfigText::Part::doors).config); // a file alone: the other doors stand elsewhere
  const auto full = [](int last) {
    std::string text = kAny;
    for (int i = 0; i < 16; ++i)
      text += opening("d" + std::to_string(i),
                      "\"tcp/" + std::to_string(64 * i + 1) + "-" + std::to_string(64 * i + 64) + "\"");
    return text + opening("last", "\"tcp/" + std::to_string(last) + "\"");
  };
  CHECK(parse(full(1024)).config);
  CHECK(
      first_error(full(1025)).starts_with("k.toml:2:9: error: door all opens any port, and these are 1025;"));
}

TEST_CASE("all doors of a port agree on its flows") {
  const auto cut = opening("a", "\"tcp/22\"", "flows = \"cut\"\n");
  CHECK(first_error(cut + opening("b", "\"tcp/21-22\""))
            .starts_with("k.toml:5:10: error: door b has flows = \"keep\" for tcp/22, door a (k.toml:1:7) "
                         "has \"cut\";"));
  CHECK(
      first_error(opening("b", "\"tcp/22\"") + cut)
          .starts_with(
              "k.toml:5:9: error: door a has flows = \"cut\" for tcp/22, door b (k.toml:1:7) has \"keep\";"));
  CHECK(parse(cut + opening("b", "\"tcp/22\"", "enabled = false\n")).config);
  CHECK(parse(cut + opening("b", "\"tcp/23\"")).config);
  CHECK(parse(cut + opening("b", "\"tcp/22\"", "flows = \"cut\"\n") + kAny).config);
  CHECK(parse(forwarding("\"tcp/80\" = \"192.0.2.1:80\"", "flows = \"cut\"\n")).config);
}

TEST_CASE("inside the admin's own table some things cannot work, and are refused with the reason") {
  const std::string embed = "[nft]\nmode = \"embed\"\ntable = \"inet filter\"\n";
  const auto refused = [&](const std::string& door) { return first_error(embed + door); };
  const auto b = opening("b", "\"tcp/22\"");
  CHECK(
      refused(opening("b", "\"tcp/22\"", "close = \"on-idle\"\n"))
          .starts_with(
              "k.toml:6:9: error: close = \"on-idle\" does not work in embed mode: the established rule of"));
  CHECK(refused(b + kAny).starts_with("k.toml:7:9: error: opens = [\"any\"] does not work in embed mode: "));
  CHECK(refused(kWeb).starts_with(
      "k.toml:5:11: error: forward does not work in embed mode: it needs rules outside"));
  CHECK(refused(opening("b", "\"tcp/22\"", "flows = \"cut\"\n"))
            .starts_with(
                "k.toml:6:9: error: flows = \"cut\" does not work in embed mode: it needs rules outside"));
  CHECK(parse(embed + opening("b", "\"tcp/22\"", "close = \"on-disconnect\"\nflows = \"keep\"\n") +
              opening("c", "\"tcp/80\"", "uses = 3\n") + opening("d", "\"tcp/81\"", "grant = \"/24\"\n"))
            .config);
  CHECK(parse(embed + kWeb + "enabled = false\n").config);
}

TEST_CASE("a forward that one family cannot use is worth a warning") {
  CHECK(warnings(kWeb).empty());
  const auto only4 = warnings(forwarding("\"tcp/8443\" = \"192.0.2.20:443\"", kAny));
  REQUIRE(only4.size() == 1);
  CHECK(only4[0] ==
        "k.toml:2:26: warning: door web has no IPv6 target for tcp/8443: it does not open over IPv6 "
        "[no-ipv6-target]; write \"tcp/8443\" = [\"192.0.2.20:443\", \"[IPV6]:PORT\"]");
  const auto only6 = warnings(forwarding("\"tcp/8443\" = \"[2001:db8::20]:443\""));
  REQUIRE(only6.size() == 1);
  CHECK(only6[0].find("door web has no IPv4 target for tcp/8443: it does not open over IPv4") !=
        std::string::npos);
}

TEST_CASE("ssh is guarded by whoever names its port, once") {
  const auto ssh = opening("ssh", "\"tcp/22\"");
  const auto any = warnings(kAny + ssh);
  REQUIRE(any.size() == 1);
  CHECK(any[0].starts_with("k.toml:4:9: warning: door ssh guards ssh and [gate] trust is empty"));
  CHECK(warnings("[gate]\ntrust = [\"lan0\"]\n" + kAny + ssh).empty());
  const auto forward = warnings(forwarding("\"tcp/22\" = [\"192.0.2.20:22\", \"[2001:db8::20]:22\"]"));
  REQUIRE(forward.size() == 1);
  CHECK(forward[0].starts_with("k.toml:2:11: warning: door web guards ssh"));
  CHECK(warnings("[door.ssh-nas]\nforward = { \"tcp/2222\" = [\"192.0.2.20:22\", \"[2001:db8::20]:22\"] }\n")
            .empty());
}

TEST_CASE("trust takes a wildcard as nft has it, and says how one of iptables is written") {
  const auto trust = [](const std::string& list) {
    return "[gate]\ntrust = [" + list + "]\n" + opening("x", "\"tcp/80\"");
  };
  const auto parsed = parse(trust("\"wga*\", \"lan0\", \"wg*\", \"wgb*\""));
  REQUIRE(parsed.config);
  CHECK(parsed.config->gate.trust_interfaces ==
        std::vector<std::string>{"lan0", "wg*"}); // nft keeps no overlap
  CHECK(
      first_error(trust("\"ppp+\""))
          .starts_with("k.toml:2:10: error: \"ppp+\" is no interface or prefix; a wildcard of nftables ends "
                       "with a star: \"ppp*\""));
  for (const auto* text : {"\"*\"", "\"w*g\"", "\"+\"", "\"\"", "\"wg**\"", "\"averyveryverylongname*\""})
    CHECK_MESSAGE(first_error(trust(text)).find("is no interface or prefix") != std::string::npos, text);
}

TEST_CASE("more than 64 ports: those in a row stay one range, of any width; up to 64 they are ports") {
  const auto narrow = first_door(opening("x", "\"udp/100-131\", \"tcp/22\", \"udp/130-162\""));
  CHECK(narrow.opens.size() == 64);
  CHECK(narrow.ranges.empty());
  const auto wide =
      first_door(opening("x", "\"tcp/22\", \"udp/60000-61000\", \"udp/61000-61100\", \"tcp/1-65535\""));
  CHECK(wide.opens.empty()); // tcp/22 lies within the last
  CHECK(wide.ranges == std::vector{*parse_port_range("tcp/1-65535"), *parse_port_range("udp/60000-61100")});
  CHECK(opens(wide, *parse_port("udp/60999")));
  CHECK_FALSE(opens(wide, *parse_port("udp/61101")));
  CHECK(opened_by(wide).size() == 65'535 + 1'101);
  const auto mixed = first_door(opening("x", "\"tcp/22\", \"udp/60000-61000\""));
  CHECK(mixed.opens == std::vector{*parse_port("tcp/22")});
}

TEST_CASE("ranges of two doors are cut into what they have in common; any opens all pieces") {
  const auto config = *parse(opening("a", "\"udp/60000-61000\"") +
                             opening("b", "\"udp/60500-62000\", \"tcp/22\"") + opening("c", "\"udp/60600\"") +
                             opening("off", "\"udp/60100-60900\"", "enabled = false\n") + kAny)
                           .config;
  const auto range = [](const char* text) { return *parse_port_range(text); };
  CHECK(config.doors[0].ranges == std::vector{range("udp/60000-60499"), range("udp/60500-61000")});
  CHECK(config.doors[1].ranges == std::vector{range("udp/60500-61000"), range("udp/61001-62000")});
  CHECK(config.doors[2].ranges.empty()); // a single port is in a set of its own
  CHECK(config.doors[4].ranges ==
        std::vector{range("udp/60000-60499"), range("udp/60500-61000"), range("udp/61001-62000")});
  std::string many = opening("wide", "\"udp/1-65535\"");
  for (int i = 0; i < 33; ++i)
    many += opening("d" + std::to_string(i), "\"udp/" + std::to_string(1'000 * i + 1'000) + "-" +
                                                 std::to_string(1'000 * i + 1'200) + "\"");
  CHECK(first_error(many).starts_with(
      "k.toml:2:9: error: door wide opens 67 pieces of ranges, 64 is the most; ranges are cut"));
}

TEST_CASE("a wide range goes with nothing that is a matter of one port or of more than one address") {
  const auto wide = opening("x", "\"udp/60000-61000\"");
  CHECK(first_error(wide + "uses = 1\n")
            .starts_with("k.toml:3:1: error: uses does not go with opens of more than 64 ports; remove one"));
  CHECK(first_error(wide + "grant = \"/24\"\n")
            .starts_with("k.toml:3:1: error: grant does not go with opens of"));
  CHECK(first_error(wide + "forward = { \"tcp/1\" = \"192.0.2.1:1\" }\n")
            .starts_with("k.toml:3:1: error: forward does not go with opens of"));
  CHECK(first_error(wide + opening("all", "\"any\"", "grant = \"/24\"\n"))
            .starts_with(
                "k.toml:5:1: error: grant does not go with wide ranges, and door all opens those of door x"));
  CHECK(
      first_error(wide + opening("y", "\"udp/60500\"", "flows = \"cut\"\n")).find("for udp/60500, door x") !=
      std::string::npos);
  CHECK(first_error(wide + "[door.k]\nopens = [\"tcp/22\"]\nknock = [\"udp/60500\"]\n")
            .find("udp/60500 is guarded by door x") != std::string::npos);
  CHECK(first_error(opening("x", "\"udp/61000-60000\"")).find("is no port or range") != std::string::npos);
}
