// SPDX-License-Identifier: GPL-2.0-or-later
// What stands in the way of a door: real sysctls and tables in a namespace. Flowtables also as nft 1.0.6
// prints them (libnftables-json(5)): a kernel may be built without.
#include "host/host_check.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "../harness/own_namespace.hpp"
#include "system/boot_path.hpp"

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
  CHECK(
      lines(kFour) ==
      Lines{"web.toml:3:1: warning: door web forwards, but this host forwards no IPv4 [no-forwarding]; run: "
            "sysctl -w net.ipv4.ip_forward=1"});
  CHECK(lines(kSix).empty());
  set_sysctl("/proc/sys/net/ipv4/ip_forward", 1);
  set_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", 0);
  CHECK(lines(kFour).empty());
  CHECK(
      lines(kSix) ==
      Lines{"web.toml:3:1: warning: door web forwards, but this host forwards no IPv6 [no-forwarding]; run: "
            "sysctl -w net.ipv6.conf.all.forwarding=1"});
  auto disabled = kSix;
  disabled.doors[0].enabled = false;
  CHECK(lines(disabled).empty());
  auto opens = kSix;
  opens.doors[0].forwards.clear();
  CHECK(lines(opens).empty());
}

TEST_CASE("what drops pings or odd flags before they are seen is told, and what drops others is not") {
  if (!enter_router()) return;
  auto config = kFour;
  config.doors[0].forwards.clear();
  config.doors[0].opens = {{Protocol::tcp, 80}};
  config.doors[0].knock = {{{echo_request(Protocol::icmp), 0, {}, "Passw0rd"}},
                           {{echo_request(Protocol::icmp6)}},
                           {{{Protocol::tcp, 7143}, kTcpFin}},
                           {{{Protocol::tcp, 7144}, kTcpAck}}};
  const auto chain = [](const std::string& rule) {
    nft(("table inet early {}; flush table inet early; table inet early { chain p { type filter hook "
         "prerouting priority "
         "-160; policy accept; " +
         rule + "; }\n }")
            .c_str());
  };
  const auto told = [&](const std::string& rule) {
    chain(rule);
    const auto found = lines(config);
    REQUIRE(found.size() <= 1);
    if (found.empty()) return std::string();
    const auto begin = found[0].find("wants knocks ") + 13;
    return found[0].substr(begin, found[0].find(", but") - begin);
  };
  CHECK(told("icmp type echo-request drop") == "icmp:\"Passw0rd\"");
  CHECK(told("icmpv6 type echo-request drop") == "icmp6");
  CHECK(told("icmp type echo-reply drop") == "");
  CHECK(told("meta l4proto { icmp, icmpv6 } drop") == "icmp6 icmp:\"Passw0rd\"");
  CHECK(told("ct state invalid drop") == "tcp/7143:fin");
  CHECK(told("tcp flags & (fin | syn | rst | ack) == fin drop") == "tcp/7143:fin");
  CHECK(told("tcp dport 7144 tcp flags ack drop") == "tcp/7144:ack");
}

TEST_CASE("a step where this host listens is told, once; one on lo alone is not") {
  HostFacts facts;
  std::istringstream tcp(
      "  sl  local_address rem_address   st\n"
      "   0: 00000000:1BE7 00000000:0000 0A 0\n   1: 0100007F:0FB5 00000000:0000 0A 0\n"
      "   2: 00000000:1BE8 00000000:0000 01 0\n   3: 00000000:zz 00000000:0000 0A 0\n   4: 0:1 0:0 0A\n");
  read_listeners(tcp, Protocol::tcp, facts);
  std::istringstream udp6("   0: 00000000000000000000000000000000:3263 0:0 07 0\n"
                          "   1: 00000000000000000000000001000000:83AE 0:0 07 0\n");
  read_listeners(udp6, Protocol::udp, facts);
  if constexpr (std::endian::native == std::endian::little)
    CHECK(facts.listening == std::set<Port>{{Protocol::tcp, 7143}, {Protocol::udp, 12899}});
  auto config = kFour;
  config.doors[0].knock = {{{{Protocol::tcp, 7143}}}, {{{Protocol::tcp, 7143}}}, {{{Protocol::udp, 33710}}}};
  const auto found = check_host(config, facts);
  const auto told = std::count_if(found.begin(), found.end(),
                                  [](const Finding& one) { return one.name == finding::kOpenStep; });
  CHECK(told == 1);
}

TEST_CASE("a service where signed packets come to is told, while a door takes them") {
  HostFacts facts;
  facts.listening = {{Protocol::udp, 17'022}, {Protocol::tcp, 17'022}};
  auto config = kFour;
  const auto told = [&] {
    const auto found = check_host(config, facts);
    return std::count_if(found.begin(), found.end(),
                         [](const Finding& one) { return one.name == finding::kKn1Port; });
  };
  CHECK(told() == 0);
  config.doors[0].kn1 = true;
  CHECK(told() == 1);
  config.kn1.ports = {{Protocol::udp, 17'023}};
  CHECK(told() == 0);
}

TEST_CASE("a chain at hook forward that drops is named, until it accepts what DNAT turned") {
  if (!enter_router()) return;
  nft(kDrops);
  CHECK(
      lines(kFour) ==
      Lines{"web.toml:3:1: warning: door web forwards tcp/8443, but chain forwarding of table ip fw drops it "
            "(its policy): a grant does not help [door-dropped]; run: nft insert rule ip "
            "fw forwarding ct "
            "status dnat accept"});
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
  facts.firewall = parse_firewall({kJson}, {});
  REQUIRE(facts.firewall.flowtables == std::set{Name{"inet", "fw", "ft"}});
  auto config = kFour;
  CHECK(check_host(config, facts).empty());
  config.doors[0].close = Close::on_idle;
  REQUIRE(check_host(config, facts).size() == 1);
  CHECK(to_string(check_host(config, facts)[0]) ==
        "web.toml:3:1: warning: door web closes on idle, but flowtable ft of table inet fw carries "
        "connections past "
        "the gate [flowtable]; let its rule leave this door's connections out: flow add @ft");
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
        Lines{"web.toml:3:1: warning: door web follows connections, but conntrack reports none here "
              "[no-flow-events]; run: sysctl -w net.netfilter.nf_conntrack_events=2"});
  config.doors[0].close = Close::after;
  config.doors[0].uses = 1;
  CHECK(lines(config).size() == 1);
  set_sysctl("/proc/sys/net/netfilter/nf_conntrack_events", 2);
  CHECK(check_host(config).empty());
}

TEST_CASE("what is no answer of nft holds nothing") {
  for (const auto* text :
       {"", "{", "[]", "{}", R"({"nftables": 1})", R"({"nftables": [1, {"flowtable": 2}]})"})
    CHECK(parse_firewall({text}, {}).flowtables.empty());
}

namespace {

/// A door that opens ssh here, on a router with a way out by wan0 (192.0.2.1) and lan0.
Config enter_ssh() {
  Config config = with(door({}));
  config.doors[0].forwards.clear();
  config.doors[0].opens = {{Protocol::tcp, 22}};
  config.doors[0].knock = {{{Protocol::udp, 7143}}};
  for (const auto* line : {"link add wan0 type veth peer name lan0", "link set lo up", "link set wan0 up",
                           "link set lan0 up", "addr add 192.0.2.1/24 dev wan0",
                           "addr add 198.51.100.1/24 dev lan0", "route add default via 192.0.2.254"})
    REQUIRE(::system(("ip " + std::string(line)).c_str()) == 0);
  return config;
}

std::vector<std::string> names(const Config& config) {
  std::vector<std::string> found;
  for (const auto& finding : check_host(config)) found.emplace_back(finding.name);
  return found;
}

} // namespace

TEST_CASE("a chain at input that drops what a door opens is named, until the line it says is typed") {
  if (!enter_router()) return;
  const auto config = enter_ssh();
  CHECK(lines(config).empty());
  nft("table inet fw { set web { type inet_service; elements = { 80 }; }\n"
      "  chain in { type filter hook input priority 0; policy drop; iifname \"lan0\" accept; tcp dport @web "
      "accept; }\n }");
  const auto found = check_host(config);
  REQUIRE(found.size() == 1);
  CHECK(to_string(found[0]) == "web.toml:3:1: warning: door web opens tcp/22, but chain in of table inet fw "
                               "drops it (its policy): a grant does not help "
                               "[door-dropped]; run: nft insert rule inet fw in tcp dport { 22 } accept");
  nft(found[0].advice.substr(found[0].advice.find("nft ") + 4));
  CHECK(lines(config).empty());
  auto accepted = config;
  nft("flush chain inet fw in");
  CHECK(names(config) == std::vector<std::string>{"door-dropped"});
  accepted.check.accept = {"door-dropped"};
  CHECK(lines(accepted).empty());
}

TEST_CASE("an element of a named set, deleted, is the difference") {
  if (!enter_router()) return;
  const auto config = enter_ssh();
  nft("table inet fw { set open { type inet_service; elements = { 22 }; }\n"
      "  chain in { type filter hook input priority 0; policy drop; tcp dport @open accept; }\n }");
  CHECK(lines(config).empty());
  nft("delete element inet fw open { 22 }");
  CHECK(names(config) == std::vector<std::string>{"door-dropped"});
}

TEST_CASE("a table that another process owns is judged, and one that is dormant is not") {
  if (!enter_router()) return;
  const auto config = enter_ssh();
  const std::string kRules =
      "set web { type inet_service; elements = { 80 }; }; chain more { tcp dport @web accept; }; "
      "chain in { type filter hook input priority 0; policy drop; jump more; }; }";
  nft("table inet fw/1.x { flags dormant; " + kRules);
  CHECK(lines(config).empty());
  std::FILE* owner = ::popen("exec nft -i >/dev/null 2>&1", "w");
  REQUIRE(owner != nullptr);
  std::fputs(("add table inet own { flags owner; " + kRules + "\n").c_str(), owner);
  std::fflush(owner);
  for (int tries = 0; ::system("nft list chain inet own in >/dev/null 2>&1") != 0; ++tries)
    REQUIRE(tries < 5'000);
  const auto found = check_host(config);
  REQUIRE(found.size() == 1);
  CHECK(found[0].text.find("chain in of table inet own drops it (its policy)") != std::string::npos);
  auto other = config;
  other.doors[0].opens = {{Protocol::tcp, 80}};
  CHECK(lines(other).empty());
  nft("add table inet fw/1.x"); // awake
  CHECK(check_host(config)[0].text.find("of table inet fw/1.x drops it") != std::string::npos);
  ::pclose(owner);
}

TEST_CASE("a knock that a raw chain drops, a redirect, and notrack are each their own finding") {
  if (!enter_router()) return;
  const auto config = enter_ssh();
  nft("table ip raw { chain pre { type filter hook prerouting priority raw; udp dport 7000-7200 drop; }\n }");
  CHECK(names(config) == std::vector<std::string>{"knock-dropped"});
  nft("delete table ip raw\ntable ip raw { chain pre { type filter hook prerouting priority raw; tcp dport "
      "22 notrack; }\n }");
  CHECK(names(config) == std::vector<std::string>{"notrack"});
  nft("delete table ip raw\ntable ip nat { chain pre { type nat hook prerouting priority dstnat; tcp dport "
      "2222 redirect to :22; }\n }");
  CHECK(names(config) == std::vector<std::string>{"redirect"});
  nft("delete table ip nat\ntable ip nat { chain pre { type nat hook prerouting priority dstnat; tcp dport "
      "22 redirect to :2222; }\n }");
  CHECK(lines(config).empty()); // guarded itself
}

TEST_CASE("an ingress hook drops knocks and doors, each named once") {
  if (!enter_router()) return;
  const auto config = enter_ssh();
  nft("table netdev n { chain i { type filter hook ingress device \"wan0\" priority 0; udp dport 7143 drop; "
      "tcp dport 22 drop; }\n }");
  CHECK(names(config) == std::vector<std::string>{"door-dropped", "knock-dropped"});
}

TEST_CASE("trust, also, run and the time conntrack remembers are looked up on this host") {
  if (!enter_router()) return;
  auto config = enter_ssh();
  config.gate.trust_interfaces = {"lan0", "wan*"};
  config.gate.also = {*parse_prefix("198.51.100.128/25"), *parse_prefix("198.51.100.0/24")};
  config.doors[0].run = {"/bin/true"};
  CHECK(lines(config).empty());
  config.gate.trust_interfaces = {"lan1"};
  CHECK(names(config) == std::vector<std::string>{"no-interface"});
  config.gate.trust_interfaces = {"wg*"};
  CHECK(names(config) == std::vector<std::string>{"no-interface"});
  config.gate.trust_interfaces.clear();
  config.gate.also = {*parse_prefix("203.0.113.0/24"), *parse_prefix("2001:db8:a::/64")};
  CHECK(names(config) == std::vector<std::string>{"no-route", "no-route"});
  REQUIRE(::system("ip -6 route add 2001:db8:a::/64 dev lan0 && ip route add 203.0.113.0/25 dev lan0") == 0);
  CHECK(lines(config).empty());
  config.doors[0].run = {"/nonexistent/true"};
  CHECK(names(config) == std::vector<std::string>{"run-file"});
  config.doors[0].run = {"/etc/passwd"};
  CHECK(names(config) == std::vector<std::string>{"run-file"});
  std::string own = "/tmp/run_file.XXXXXX"; // 0700 and root's
  REQUIRE(::mkdtemp(own.data()) != nullptr);
  std::filesystem::copy("/bin/true", own + "/true");
  config.doors[0].run = {own + "/true"};
  CHECK(check_host(config)[0].text.ends_with(own + " is closed to user nobody, who runs it"));
  std::filesystem::permissions(own, std::filesystem::perms{0711});
  CHECK(lines(config).empty());
  std::filesystem::permissions(own + "/true", std::filesystem::perms{0744});
  CHECK(check_host(config)[0].text.ends_with("/true is closed to user nobody, who runs it"));
  std::filesystem::remove_all(own);
  config.doors[0].run.clear();
  set_sysctl("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established", 600);
  CHECK(names(config) == std::vector<std::string>{"short-flows"});
}

TEST_CASE("the boot file counts when something loads it at boot: includes, globs, a flush behind, the unit") {
  namespace fs = std::filesystem;
  std::string root = "/tmp/boot_path.XXXXXX";
  REQUIRE(::mkdtemp(root.data()) != nullptr);
  const auto write = [&](const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  };
  const auto path = [&] { return system::boot_path("/etc/knockgate/nftables.d/knockgate.nft", root); };
  const auto why = [&] { return path().fault; };
  const std::string kNotIncluded = "/etc/nftables.conf does not include it, or flushes the ruleset behind it";
  write("/etc/knockgate/nftables.d/knockgate.nft", "table inet knockgate { }\n");
  CHECK(why() == kNotIncluded);
  write("/etc/nftables.conf", "flush ruleset\n# include \"/etc/knockgate/nftables.d/*.nft\"\n");
  CHECK(why() == kNotIncluded);
  write("/etc/nftables.conf", "flush ruleset\ninclude \"/etc/knockgate/nftables.d/*.nft\"\n");
  CHECK(why() == "nftables.service is not enabled");
  fs::create_directories(root + "/etc/systemd/system/sysinit.target.wants");
  fs::create_symlink("/lib/systemd/system/nftables.service",
                     root + "/etc/systemd/system/sysinit.target.wants/nftables.service");
  CHECK(why().empty());
  write("/etc/nftables.conf", "include \"/etc/knockgate/nftables.d/*.nft\"\nflush ruleset\n");
  CHECK(why() == kNotIncluded);
  write("/etc/nftables.conf", "include \"firewall.d/*.nft\"\n"); // below /etc
  write("/etc/firewall.d/10.nft", "table inet a { }\n");
  CHECK(why() == kNotIncluded);
  write("/etc/firewall.d/20.nft", "include '/etc/knockgate/nftables.d/knockgate.nft'\n");
  CHECK(why().empty());
  CHECK(path().by == std::vector<std::string>{"/etc/nftables.conf"});
  write("/etc/firewall.d/20.nft", "include \"/etc/firewall.d/20.nft\"\n"); // itself, for ever
  CHECK(why() == kNotIncluded);
  CHECK(path().advice.find(
            "put this at the end of /etc/nftables.conf: include \"/etc/knockgate/nftables.d/*.nft\"") == 0);
  write("/usr/lib/systemd/system/knockgate-boot.service", "");
  CHECK(path().advice == "run: sudo systemctl enable knockgate-boot.service");
  fs::create_symlink("/lib/systemd/system/knockgate-boot.service",
                     root + "/etc/systemd/system/sysinit.target.wants/knockgate-boot.service");
  CHECK(why().empty());
  CHECK(path().by == std::vector<std::string>{"knockgate-boot.service"});
  CHECK(path().advice.find("put this at the end") == 0); // nftables.service is enabled, and flushes
  CHECK(system::boot_path("/etc/elsewhere.nft", root).by.empty());
  fs::remove_all(root);
}

TEST_CASE("the user of a unit: its file, the first place that has it, drop-ins in the order of their names") {
  namespace fs = std::filesystem;
  std::string root = "/tmp/unit_user.XXXXXX";
  REQUIRE(::mkdtemp(root.data()) != nullptr);
  const auto write = [&](const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  };
  const auto user = [&] { return system::unit_user("knockgate-runner.service", root); };
  CHECK(user().empty());
  write("/lib/systemd/system/knockgate-runner.service", "[Service]\nUser=nobody\n");
  CHECK(user() == "nobody");
  write("/lib/systemd/system/knockgate-runner.service.d/b.conf", "[Service]\nUser=bob\n");
  write("/etc/systemd/system/knockgate-runner.service.d/a.conf", "[Service]\nUser=alice\n");
  CHECK(user() == "bob");
  write("/etc/systemd/system/knockgate-runner.service.d/b.conf", "[Service]\nUser=\n");
  CHECK(user() == "root"); // the one in /etc counts, and takes the name away
  fs::remove_all(root + "/lib/systemd/system/knockgate-runner.service.d");
  fs::remove_all(root + "/etc/systemd/system/knockgate-runner.service.d");
  write("/etc/systemd/system/knockgate-runner.service", "[Service]\n#User=carol\n");
  CHECK(user() == "root");
  fs::remove_all(root);
}

TEST_CASE("in embed mode the admin's own chain is judged with our jumps in it") {
  if (!enter_router()) return;
  auto config = enter_ssh();
  config.nft.mode = Mode::embed;
  config.nft.table = "fw";
  nft("table inet fw {\n  chain knockgate_grants { drop\n  }\n  chain knockgate_knocks { return\n  }\n"
      "  chain in { type filter hook input priority 0; policy drop; jump knockgate_grants; jump "
      "knockgate_knocks; }\n}");
  // Ours let in who has a grant, and take the knock.
  nft("insert rule inet fw knockgate_grants udp dport 7143 return");
  CHECK(lines(config).empty());
  nft("insert rule inet fw in tcp dport 22 drop");
  nft("insert rule inet fw in udp dport 7143 drop");
  CHECK(names(config) == std::vector<std::string>{"door-dropped", "knock-dropped"});
}
