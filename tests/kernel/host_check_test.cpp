// SPDX-License-Identifier: GPL-2.0-or-later
// What stands in the way of a door: real sysctls and tables in a namespace. Flowtables also as nft 1.0.6
// prints them (libnftables-json(5)): a kernel may be built without.
#include "host/host_check.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <fstream>

#include "../harness/own_namespace.hpp"

using namespace knock;
using namespace knock::host;

namespace {

Door door(std::optional<std::string_view> ipv4, std::optional<std::string_view> ipv6 = {}) {
  Door made;
  made.name = "web";
  made.place = {"web.toml", 3, 1};
  made.forwards = {{{Protocol::tcp, 8443}, {}, {}}};
  if (ipv4) made.forwards[0].ipv4 = parse_target(*ipv4);
  if (ipv6) made.forwards[0].ipv6 = parse_target(*ipv6);
  return made;
}

Config with(Door one) {
  Config config;
  config.doors = {std::move(one)};
  return config;
}
const Config kFour = with(door("192.0.2.20:443"));
const Config kSix = with(door({}, "[2001:db8:20::20]:443"));

void set_sysctl(const std::string& path, int value) {
  std::ofstream file(path);
  file << value << std::flush;
  REQUIRE(file.good());
}

/// A router that forwards and has no table: nothing to warn of.
bool enter_router() {
  if (!enter_namespace()) return false;
  set_sysctl("/proc/sys/net/ipv4/ip_forward", 1);
  set_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", 1);
  REQUIRE(check_host(with(door("192.0.2.20:443", "[2001:db8:20::20]:443"))).empty());
  return true;
}

std::vector<std::string> lines(const Config& config) {
  std::vector<std::string> found;
  for (const auto& finding : check_host(config)) found.push_back(to_string(finding));
  return found;
}
using Lines = std::vector<std::string>;

constexpr auto kDrops =
    "table ip fw {\n  chain forwarding { type filter hook forward priority 0; policy drop;\n"
    "    ct status snat accept\n    ct status dnat counter\n  }\n  chain other { }\n}\n";

} // namespace

TEST_CASE("a door that forwards is told when the kernel does not, by family") {
  if (!enter_router()) return;
  set_sysctl("/proc/sys/net/ipv4/ip_forward", 0);
  CHECK(lines(kFour) ==
        Lines{"web.toml:3:1: warning: door web forwards, but this host forwards no IPv4; run: "
              "sysctl -w net.ipv4.ip_forward=1"});
  CHECK(lines(kSix).empty());
  set_sysctl("/proc/sys/net/ipv4/ip_forward", 1);
  set_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", 0);
  CHECK(lines(kFour).empty());
  CHECK(lines(kSix) == Lines{"web.toml:3:1: warning: door web forwards, but this host forwards no IPv6; run: "
                             "sysctl -w net.ipv6.conf.all.forwarding=1"});
  auto disabled = kSix;
  disabled.doors[0].enabled = false;
  CHECK(lines(disabled).empty());
  auto opens = kSix;
  opens.doors[0].forwards.clear();
  CHECK(lines(opens).empty());
}

TEST_CASE("a chain at hook forward that drops is named, until it accepts what DNAT turned") {
  if (!enter_router()) return;
  nft(kDrops);
  CHECK(lines(kFour) ==
        Lines{"web.toml:3:1: warning: door web forwards, but chain forwarding of table ip fw drops "
              "what it does not accept; run: nft insert rule ip fw forwarding ct status dnat accept"});
  CHECK(lines(kSix).empty());
  nft("insert rule ip fw forwarding ct status dnat accept"); // just what the advice says
  CHECK(lines(kFour).empty());
  nft("table inet two { chain f { type filter hook forward priority 9; policy drop; }\n }");
  CHECK(lines(kFour).size() == 1);
  CHECK(lines(kSix).size() == 1);
}

TEST_CASE("chains that accept, stand elsewhere or are our own are no finding") {
  if (!enter_router()) return;
  nft("table inet fw {\n  chain a { type filter hook forward priority 0; policy accept; }\n"
      "  chain b { type filter hook input priority 0; policy drop; }\n}\n"
      "table inet knockgate { chain f { type filter hook forward priority 0; policy drop; }\n }");
  CHECK(lines(kFour).empty());
  auto embed = kFour;
  embed.nft.mode = Mode::embed; // then the table is the admin's, and so is the chain
  CHECK(lines(embed).size() == 1);
}

TEST_CASE("who may list no table is told of the sysctls alone") {
  if (!enter_router()) return;
  nft(kDrops);
  set_sysctl("/proc/sys/net/ipv4/ip_forward", 0);
  REQUIRE(lines(kFour).size() == 2);
  const auto pid = ::fork();
  if (pid == 0) ::_exit(::setuid(65'534) == 0 && lines(kFour).size() == 1 ? 0 : 1);
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
}

TEST_CASE("a flowtable is named to doors that must see every packet of forwarded connections") {
  constexpr auto kJson = R"({"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
    {"flowtable": {"family": "inet", "name": "ft", "table": "fw", "handle": 2, "hook": "ingress", "prio": 0,
     "dev": ["lan0", "wan0"]}}]})";
  HostFacts facts;
  facts.flowtables = parse_flowtables(kJson);
  REQUIRE(facts.flowtables == std::vector{InTable{"inet", "fw", "ft"}});
  auto config = kFour;
  CHECK(check_host(config, facts).empty());
  config.doors[0].close = Close::on_idle;
  REQUIRE(check_host(config, facts).size() == 1);
  CHECK(to_string(check_host(config, facts)[0]) ==
        "web.toml:3:1: warning: door web closes on idle, but flowtable ft of table inet fw carries "
        "connections past "
        "the gate; let its rule leave this door's connections out: flow add @ft");
  config.doors[0].close = Close::after;
  config.doors[0].cut = true;
  CHECK(check_host(config, facts).size() == 1);
  config.doors[0].forwards.clear(); // a service of the router itself: nothing of it is forwarded
  CHECK(check_host(config, facts).empty());
  config.gate.also = {*parse_prefix("192.0.2.0/24")};
  CHECK(check_host(config, facts).size() == 1);
}

TEST_CASE("a real flowtable is found where the kernel has them") {
  if (!enter_router()) return;
  if (::system(
          "echo 'table inet fw { flowtable ft { hook ingress priority 0; devices = { lo }; }; }' | nft -f - "
          "2>/dev/null") != 0) {
    MESSAGE("skipped: this kernel has no flowtables");
    return;
  }
  auto config = kFour;
  config.doors[0].cut = true;
  CHECK(lines(config).size() == 1);
}

TEST_CASE("a door that follows connections is warned of where conntrack tells nobody") {
  if (!enter_router()) return;
  Config config = with(door({}));
  config.doors[0].forwards.clear();
  set_sysctl("/proc/sys/net/netfilter/nf_conntrack_events", 0);
  CHECK(check_host(config).empty());
  config.doors[0].close = Close::on_disconnect;
  CHECK(lines(config) ==
        Lines{"web.toml:3:1: warning: door web follows connections, but this host tells nobody of "
              "them; run: sysctl -w net.netfilter.nf_conntrack_events=2"});
  config.doors[0].close = Close::after;
  config.doors[0].uses = 1;
  CHECK(lines(config).size() == 1);
  set_sysctl("/proc/sys/net/netfilter/nf_conntrack_events", 2);
  CHECK(check_host(config).empty());
}

TEST_CASE("what is no answer of nft holds nothing") {
  for (const auto* text : {"", "{", "[]", "{}", R"({"nftables": 1})", R"({"nftables": [1, {"chain": 2}]})",
                           R"({"nftables": [{"chain": {"family": 1, "hook": [], "policy": null}}]})",
                           R"({"nftables": [{"rule": {"expr": [1, {"match": 2}, {"accept": null}]}}]})"}) {
    CHECK(parse_dropping_chains(text).empty());
    CHECK(parse_flowtables(text).empty());
    CHECK_FALSE(accepts_dnat(text));
  }
}
