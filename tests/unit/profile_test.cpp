// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/dates.hpp>
#include <knock/profile.hpp>

#include <doctest/doctest.h>

#include <fmt/format.h>

#include "../harness/kn1_vectors.hpp"

using namespace knock;
using namespace std::chrono_literals;

namespace {

const kn1::Kn1Vectors& vectors() {
  static const kn1::Kn1Vectors read(KNOCKGATE_VECTORS);
  return read;
}

Moment at(std::string_view text) {
  return parse_rfc3339(text).value();
}

LineDoor door(std::string name, std::vector<std::string> ports) {
  LineDoor one;
  one.name = std::move(name);
  for (const auto& port : ports) one.ports.push_back(parse_port_range(port).value());
  return one;
}

Profile home() {
  Profile profile;
  profile.name = "home";
  profile.hosts = {"router.example"};
  profile.device = "alice/laptop";
  profile.send = {{17022}};
  profile.doors = {door("ssh", {"tcp/22"})};
  return profile;
}

/// A profile that says all there is to say.
Profile full() {
  auto profile = home();
  profile.hosts = {"router.example", "203.0.113.1", "2001:db8:7::1", "fe80::1%eth0"};
  profile.send = {{17022}, {}, {53}};
  profile.source = Profile::Source::address;
  profile.address = parse_address("2001:db8::9");
  profile.require_source = profile.for_src = profile.counter = true;
  profile.claim = at("2026-12-02T10:00:00Z");
  profile.until = at("2026-12-24T18:00:01Z");
  auto nas = door("nas", {"tcp/445", "udp/8000-8010"});
  nas.open_for = 90s;
  nas.max = 30 * 24h;
  nas.cut = nas.uses = nas.run = true;
  nas.args = 912;
  nas.at = {"nas.example", "192.0.2.20"};
  nas.knock = {"tcp/7143 x2", "pause 1s", R"(udp/12899:"a \"_,\x20\\\xff")"};
  LineDoor all;
  all.name = "all";
  all.any = true;
  LineDoor wake;
  wake.name = "0-wake";
  wake.run = true;
  profile.doors.insert(profile.doors.end(), {nas, all, wake});
  return profile;
}

std::string told(const std::vector<Finding>& findings) {
  std::string text;
  for (const auto& finding : findings) text += to_string(finding) + "\n";
  return text;
}

Profile parsed(const std::string& text, std::string_view name = "home") {
  const auto read = parse_profile({"home.toml", text}, name);
  INFO(told(read.findings));
  REQUIRE(read.value);
  return *read.value;
}

std::string findings_of(const std::string& text) {
  const auto read = parse_profile({"home.toml", text}, "home");
  CHECK(read.value.has_value() == read.findings.empty());
  return told(read.findings);
}

const std::string kTop = "hosts = [\"router.example\"]\ndevice = \"alice/laptop\"\nsend = [\"udp/17022\"]\n";
const std::string kDoor = "[door.ssh]\nports = [\"tcp/22\"]\n";

ProfileKeys keys() {
  ProfileKeys all;
  all.servers = {vectors().server.server, kn1::Server{vectors().pub("ALICE_PUB"), {}}};
  all.kid = vectors().devices[0].kid;
  all.secret = vectors().devices[0].secret;
  all.seed = vectors().devices[0].seed;
  return all;
}

Line line_of_kind(LineKind kind) {
  Line line;
  line.kind = kind;
  line.hosts = {"Router.example", "203.0.113.1"};
  line.doors = {door("ssh", {"tcp/22"})};
  if (kind == LineKind::knock) {
    line.doors[0].knock = {"tcp/7143", "icmp:\"a_b\""};
    return line;
  }
  line.name = "alice/laptop";
  if (kind == LineKind::rotating) {
    line.rotating = vectors().devices[0].secret;
    return line;
  }
  line.ports = {"udp/17022", "icmp"};
  line.servers = {vectors().server.server};
  line.device = LineDevice{vectors().devices[0].kid, vectors().devices[0].secret};
  return line;
}

template<class T>
std::string failure(const tl::expected<T, Failure>& result) {
  REQUIRE(!result);
  CHECK(result.error().exit == ExitCode::usage);
  return to_string(result.error());
}

} // namespace

TEST_CASE("a carrier is udp with its port, or icmp") {
  CHECK(parse_carrier("udp/17022") == Carrier{17022});
  CHECK(parse_carrier("icmp") == Carrier{});
  CHECK(to_string(Carrier{17022}) == "udp/17022");
  CHECK(to_string(Carrier{}) == "icmp");
  for (const char* bad : {"", "tcp/22", "udp/0", "udp/65536", "udp", "icmp6", "udp/17022 "})
    CHECK_MESSAGE(!parse_carrier(bad), bad);
}

TEST_CASE("a profile as people write it") {
  const auto profile = parsed("hosts  = [\"router.example\"]\ndevice = \"alice/laptop\"\n"
                              "send   = [\"udp/17022\"]\nsource = \"auto\"\n\n"
                              "[door.ssh]\nports  = [\"tcp/22\"]\nfor    = \"30s\"\n");
  auto wanted = home();
  wanted.doors[0].open_for = 30s;
  CHECK(profile == wanted);
}

TEST_CASE("a profile's text is read as the same profile, doors in their order") {
  CHECK(parsed(profile_text(home())) == home());
  CHECK(parsed(profile_text(full())) == full());
  CHECK(parsed(profile_text(full())).doors[3].name == "0-wake");
  for (const auto source : {Profile::Source::bound, Profile::Source::unbound}) {
    auto profile = home();
    profile.source = source;
    CHECK(parsed(profile_text(profile)) == profile);
  }
}

TEST_CASE("a date without an offset is of the zone of its reader") {
  const auto text = kTop + "until = 2026-12-24\n" + kDoor;
  CHECK(parsed(text).until == at("2026-12-24T00:00:00Z"));
  const auto hour_east = [](LocalMoment local) { return Moment{local.time_since_epoch() - 1h}; };
  CHECK(parse_profile({"f", text}, "home", hour_east).value->until == at("2026-12-23T23:00:00Z"));
}

TEST_CASE("what is wrong is told with its place and what to write") {
  CHECK(findings_of("hots = [\"router.example\"]\n" + kDoor)
            .starts_with("home.toml:1:1: error: unknown key \"hots\" in the profile; did you mean \"hosts\"? "
                         "keys here: hosts, "));
  CHECK(findings_of(kTop + "[door.ssh]\nports = [\"tcp/22\"]\nfr = \"3s\"\n")
            .starts_with("home.toml:6:1: error: unknown key \"fr\" in door ssh; did you mean \"for\"? "));
  CHECK(findings_of(kTop + "[door.ssh]\nports = [\"22\"]\n") ==
        "home.toml:5:10: error: \"22\" is no port or range; did you mean \"tcp/22\"?\n");
  CHECK(findings_of(kTop + "[door.ssh]\nports = [\"any\", \"tcp/22\"]\n").find("alone") != std::string::npos);
  CHECK(findings_of(kTop + "[door.ssh]\nfor = \"3s\"\n") ==
        "home.toml:4:7: error: door ssh has no ports; add ports = [\"tcp/22\"], or [] where it opens none\n");
  CHECK(findings_of(kTop + kDoor + "for = 30\n").find("6:7: error: for must be a duration") !=
        std::string::npos);
  CHECK(findings_of(kTop + kDoor + "for = \"31d\"\n").find("write 1s to 30d") != std::string::npos);
  CHECK(findings_of(kTop + kDoor + "args = 5\n") ==
        "home.toml:6:1: error: args needs run = true; add it, or remove args\n");
  CHECK(findings_of(kTop + kDoor + "knock = [\"tcp/7143\", \"7144:udp\"]\n") ==
        "home.toml:6:22: error: \"7144:udp\" is no step; did you mean \"udp/7144\"?\n");
  CHECK(findings_of(kTop + "[door.SSH]\nports = []\n").find("no name of a door") != std::string::npos);
  CHECK(
      findings_of(kTop + "source = \"here\"\n" + kDoor).find("4:10: error: source = \"here\" is no source") !=
      std::string::npos);
  CHECK(findings_of(kTop + "clock = \"sun\"\n" + kDoor).find("\"wall\" or \"none\"") != std::string::npos);
  CHECK(findings_of(kTop + "hosts = [\"a\"]\n" + kDoor).find("hosts stands twice, first at home.toml:1:1") !=
        std::string::npos);
  CHECK(findings_of("hosts = [\"-oX\"]\n" + kTop.substr(kTop.find('\n') + 1) + kDoor) ==
        "home.toml:1:10: error: \"-oX\" is no name or address of a host; write \"router.example\"\n");
  CHECK(findings_of("hosts = []\n" + kTop.substr(kTop.find('\n') + 1) + kDoor).find("1 to 4") !=
        std::string::npos);
}

TEST_CASE("what must be there, and what goes together") {
  CHECK(findings_of(kDoor).find("the profile has no hosts") != std::string::npos);
  CHECK(findings_of(kTop) ==
        "home.toml: error: the profile has no door; add [door.ssh] with ports = [\"tcp/22\"]\n");
  CHECK(findings_of(kTop + "[door]\n").find("no door") != std::string::npos);
  CHECK(findings_of("hosts = [\"a\"]\ndevice = \"alice/laptop\"\n" + kDoor)
            .find("2:1: error: device needs send") != std::string::npos);
  CHECK(findings_of(kTop + "door = 3\n").find("must be a table") != std::string::npos);
  for (const char* device : {"alice", "alice/", "/laptop", "alice/lap/top", "Alice/laptop"})
    CHECK(findings_of(fmt::format("hosts = [\"a\"]\nsend = [\"icmp\"]\ndevice = \"{}\"\n", device) + kDoor)
              .find("no name of a device") != std::string::npos);
  const std::string knock = "knock = [\"tcp/7143\"]\n";
  CHECK(findings_of("hosts = [\"a\"]\n" + kDoor + knock).empty());
  CHECK(findings_of("hosts = [\"a\"]\n" + kDoor + knock + "[door.nas]\nports = []\n") ==
        "home.toml:5:7: error: door nas has no knock, and the profile no device; "
        "add knock = [\"tcp/7143\", ...] here, or device at the top\n");
}

TEST_CASE("a pause stands between two steps, and there are not too many of them") {
  for (const char* bad : {"\"pause 1s\", \"tcp/1\"", "\"tcp/1\", \"pause 1s\"",
                          "\"tcp/1\", \"pause 1s\", \"pause 1s\", \"tcp/2\"", "\"tcp/1 x31\", \"tcp/2\""})
    CHECK_MESSAGE(!findings_of(kTop + kDoor + fmt::format("knock = [{}]\n", bad)).empty(), bad);
  CHECK(findings_of(kTop + kDoor + "knock = [\"tcp/1 x30\", \"pause 1s\", \"tcp/2\"]\n").empty());
}

TEST_CASE("a step's word of any bytes is written in ASCII, and stays the same word") {
  const auto profile = parsed(kTop + kDoor + "knock = ['udp/1:\"\xc3\xa4 \\\\ \\x01\"']\n");
  CHECK(profile.doors[0].knock[0] == R"(udp/1:"\xc3\xa4 \\ \x01")");
  CHECK(parsed(profile_text(profile)) == profile);
}

TEST_CASE("a key file is read as it is written") {
  const auto read = [](const ProfileKeys& keys) {
    const auto text = profile_keys_text(keys);
    const auto parsed = parse_profile_keys({"home.key", text.text});
    INFO(told(parsed.findings));
    REQUIRE(parsed.value);
    return *parsed.value;
  };
  auto some = keys();
  CHECK(read(some) == some);
  some.psk = std::exchange(some.seed, std::nullopt);
  CHECK(read(some) == some);
  some.psk.reset();
  some.servers.pop_back();
  CHECK(read(some) == some);
  CHECK(profile_keys_text(keys()).text.find("hide") != std::string::npos);
}

TEST_CASE("a server without hide is a public one") {
  auto text = profile_keys_text(keys()).text;
  text.resize(text.rfind("hide"));
  CHECK(parse_profile_keys({"f", text}).value == keys());
}

TEST_CASE("no finding shows what a key file holds") {
  const auto text = profile_keys_text(keys()).text;
  const auto shown_of = [](const std::string& wrong) {
    const auto parsed = parse_profile_keys({"home.key", wrong});
    CHECK_MESSAGE(!parsed.value, wrong);
    const auto shown = told(parsed.findings);
    CHECK(shown.starts_with("home.key:"));
    return shown;
  };
  // Each value in turn: longer, in capitals, without its quotes, as a table, as a name, as a number.
  for (auto begin = text.find('"', text.find("kid")); begin != text.npos;) {
    const auto end = text.find('"', begin + 1);
    const auto value = text.substr(begin + 1, end - begin - 1);
    for (const auto& instead :
         {"\"A" + value + "\"", "\"" + value.substr(1) + "\"", value, "[\"" + value + "\"]",
          "{ a = \"" + value + "\" }", "\"" + value, "\"" + value + "\"\n" + value + " = 1", "0x" + value}) {
      const auto shown = shown_of(text.substr(0, begin) + instead + text.substr(end + 1));
      CHECK_MESSAGE(shown.find(value.substr(1, 6)) == shown.npos, shown);
    }
    begin = text.find('"', end + 1);
  }
}

TEST_CASE("a key file has all that a packet needs, and one way to prove itself") {
  const auto text = profile_keys_text(keys()).text;
  const auto without = [&](std::string_view key) {
    const auto begin = text.find(key);
    return told(
        parse_profile_keys({"home.key", text.substr(0, begin) + text.substr(text.find('\n', begin) + 1)})
            .findings);
  };
  CHECK(without("kid").find("home.key: error: the key file has no kid") != std::string::npos);
  CHECK(without("secret").find("has no secret") != std::string::npos);
  CHECK(without("public").find("a server without public") != std::string::npos);
  CHECK(without("seed").empty());
  auto both = keys();
  both.psk = both.seed;
  CHECK(told(parse_profile_keys({"home.key", profile_keys_text(both).text}).findings)
            .find("psk does not go with seed") != std::string::npos);
  auto five = keys();
  five.servers.resize(5, five.servers[0]);
  CHECK(told(parse_profile_keys({"home.key", profile_keys_text(five).text}).findings)
            .find("server is not an array of 1 to 4 tables") != std::string::npos);
  CHECK(told(parse_profile_keys({"home.key", "[[server]]\npublic = \"\"\nkid = \"x\"\n"}).findings)
            .find("unknown key \"kid\" in a server") != std::string::npos);
}

TEST_CASE("an invite makes a profile, and keys with the seed of this device") {
  auto line = line_of_kind(LineKind::invite);
  line.counter = line.bound = line.for_src = true;
  line.claim = static_cast<std::uint64_t>(at("2026-12-02T10:00:00Z").time_since_epoch().count());
  line.until = ~std::uint64_t{0};
  const auto seed = vectors().devices[0].seed;
  const auto joined = join_profile(line, "router", seed);
  REQUIRE(joined);
  const auto& profile = joined->profile;
  CHECK(profile.name == "router");
  CHECK(profile.hosts == line.hosts);
  CHECK(profile.device == "alice/laptop");
  CHECK(profile.send == std::vector<Carrier>{{17022}, {}});
  CHECK(profile.source == Profile::Source::automatic);
  CHECK((profile.counter && profile.require_source && profile.for_src));
  CHECK(profile.claim == at("2026-12-02T10:00:00Z"));
  CHECK(profile.until == at("2199-12-31T23:59:59Z")); // the last that a profile says
  CHECK(profile.doors == line.doors);
  CHECK(parsed(profile_text(profile), "router") == profile);
  REQUIRE(joined->keys);
  CHECK(joined->keys->servers == line.servers);
  CHECK(joined->keys->kid == line.device->kid);
  CHECK(joined->keys->secret == line.device->secret);
  CHECK(joined->keys->seed == seed);
  CHECK(!joined->keys->psk);
  CHECK(!join_profile(line, "router", std::nullopt));
}

TEST_CASE("what the other kinds of lines prove themselves with") {
  const auto psk = join_profile(line_of_kind(LineKind::psk), "router", std::nullopt);
  REQUIRE(psk);
  CHECK(psk->keys->psk == vectors().devices[0].secret);
  CHECK(!psk->keys->seed);
  const auto password = join_profile(line_of_kind(LineKind::password), "router", std::nullopt);
  REQUIRE(password);
  CHECK((!password->keys->psk && !password->keys->seed));
  const auto knock = join_profile(line_of_kind(LineKind::knock), "router", std::nullopt);
  REQUIRE(knock);
  CHECK(!knock->keys);
  CHECK(knock->profile.device.empty());
  CHECK(parsed(profile_text(knock->profile), "router") == knock->profile);
  CHECK(failure(join_profile(line_of_kind(LineKind::rotating), "router", std::nullopt))
            .starts_with(
                "the line is of a rotating knock: this version of knockgate does not join with one; "));
}

TEST_CASE("what a line says that no profile can is brought within limits, or refused") {
  auto line = line_of_kind(LineKind::psk);
  line.doors[0].open_for = 1ms;
  line.doors[0].max = 24h * 999'999'999;
  line.until = 0;
  const auto joined = join_profile(line, "router", std::nullopt);
  REQUIRE(joined);
  CHECK(joined->profile.doors[0].open_for == 1s);
  CHECK(joined->profile.doors[0].max == 30 * 24h);
  CHECK(joined->profile.until == at("2000-01-01T00:00:00Z"));
  line.doors.push_back(line.doors[0]);
  CHECK(failure(join_profile(line, "router", std::nullopt)) == to_string(failure_of(LineFault::unfit)));
  line.doors.pop_back();
  line.hosts.emplace_back(254, 'a');
  CHECK(failure(join_profile(line, "router", std::nullopt)) == to_string(failure_of(LineFault::unfit)));
  line.hosts.back().pop_back();
  CHECK(join_profile(line, "router", std::nullopt));
  line.doors[0].knock = {"pause 1s", "tcp/1"};
  CHECK(failure(join_profile(line, "router", std::nullopt)) == to_string(failure_of(LineFault::unfit)));
}

TEST_CASE("why a text is no line, and what to do") {
  CHECK(to_string(failure_of(LineFault::no_line)) ==
        "this is no line of knockgate; copy it whole, from KNOCKGATE: on");
  CHECK(to_string(failure_of(LineFault::damaged)).starts_with("the line is cut or mistyped; copy it whole"));
  CHECK(to_string(failure_of(LineFault::answer)).find("sudo knockctl device add") != std::string::npos);
  CHECK(to_string(failure_of(LineFault::newer)).find("newer") != std::string::npos);
  for (const auto fault :
       {LineFault::no_line, LineFault::damaged, LineFault::answer, LineFault::newer, LineFault::unfit})
    CHECK(failure_of(fault).exit == ExitCode::usage);
}

TEST_CASE("what a profile is called") {
  Line line;
  const auto name = [&](std::string host) {
    line.hosts = {std::move(host), "other.example"};
    const auto made = profile_name(line);
    CHECK_MESSAGE(is_profile_name(made), made);
    return made;
  };
  CHECK(name("router.example") == "router");
  CHECK(name("Router") == "router");
  CHECK(name("203.0.113.1") == "203-0-113-1");
  CHECK(name("2001:db8:7::1") == "2001-db8-7--1");
  CHECK(name("::1") == "1");
  CHECK(name("_a_b.example") == "a-b");
  CHECK(name(std::string(63, 'a') + ".example") == std::string(31, 'a'));
  CHECK(name(".example") == "router");
  CHECK(name("::") == "router");
  for (const char* bad : {"", "-a", ".a", "a.b", "a/b", "A", "../x"})
    CHECK_MESSAGE(!is_profile_name(bad), bad);
}

TEST_CASE("a profile is found by its name, then by a host that it has, in any case") {
  auto work = home();
  work.name = "work";
  work.hosts = {"gw.example", "2001:db8:0:0::5"};
  work.doors[0].at = {"nas.example"};
  auto odd = home();
  odd.name = "odd";
  odd.hosts = {"home", "odd.example"};
  const std::vector<Profile> all{home(), work, odd};
  const auto name_of = [&](std::string_view host) { return find_profile(all, host).value()->name; };
  CHECK(name_of("home") == "home"); // also a host of odd
  CHECK(name_of("HOME") == "home");
  CHECK(name_of("Router.EXAMPLE") == "home");
  CHECK(name_of("2001:DB8::5") == "work");
  CHECK(name_of("NAS.example") == "work");
  CHECK(failure(find_profile(all, "xnas.example")) ==
        "no profile for xnas.example; there are: home (router.example), work (gw.example), odd (home). "
        "knockgate join adds one");
  CHECK(failure(find_profile(std::span(all).first(1), "nas.example")) ==
        "no profile for nas.example; there are: home (router.example). knockgate join adds one");
  CHECK(failure(find_profile({}, "nas.example")) == "no profile yet; knockgate join makes one");
}

TEST_CASE("two profiles of one host: both are named") {
  auto work = home();
  work.name = "work";
  const std::vector<Profile> all{home(), work};
  CHECK(failure(find_profile(all, "router.example")) ==
        "2 profiles have router.example: home, work; say which: --profile home");
  CHECK(find_profile(all, "work").value()->name == "work");
}

TEST_CASE("a door by its port: the first, one that opens any port last") {
  auto profile = home();
  LineDoor any;
  any.name = "all";
  any.any = true;
  profile.doors = {any, door("one", {"udp/22", "tcp/8000-8010"}), door("two", {"tcp/22", "tcp/8005"}),
                   door("three", {"tcp/22"})};
  const auto name_of = [&](std::string_view port) {
    return find_door(profile, "router.example", parse_port(port).value()).value()->name;
  };
  CHECK(name_of("tcp/22") == "two");
  CHECK(name_of("tcp/8005") == "one");
  CHECK(name_of("tcp/443") == "all");
  CHECK(failure(find_door(home(), "home", {Protocol::tcp, 443})) ==
        "profile home has no door for tcp/443; it has ssh (tcp/22)");
}

TEST_CASE(
    "a door that leads to another host counts for that one, and behind the others for the router itself") {
  auto profile = home();
  auto nas = door("nas", {"tcp/22", "tcp/445"});
  nas.at = {"nas.example"};
  profile.doors.insert(profile.doors.begin(), nas);
  const auto name_of = [&](std::string_view host, std::uint16_t port) {
    const auto found = find_door(profile, host, {Protocol::tcp, port});
    return found ? (*found)->name : "-";
  };
  CHECK(name_of("NAS.example", 22) == "nas");
  CHECK(name_of("router.example", 22) == "ssh");
  CHECK(name_of("home", 22) == "ssh");
  CHECK(name_of("router.example", 445) == "nas");
  profile.doors[1].ports = {*parse_port_range("tcp/80")};
  CHECK(name_of("nas.example", 80) == "-"); // of the router, not of the host behind it
}

TEST_CASE("a door by its name, or the only one") {
  auto profile = home();
  CHECK(find_door(profile, "").value()->name == "ssh");
  CHECK(find_door(profile, "ssh").value()->name == "ssh");
  CHECK(failure(find_door(profile, "nas")) == "profile home has no door nas; it has ssh (tcp/22)");
  CHECK(failure(find_door(profile, "shs")) == "profile home has no door shs; did you mean ssh?");
  LineDoor wake;
  wake.name = "wake";
  wake.run = true;
  profile.doors.push_back(wake);
  CHECK(failure(find_door(profile, "")) ==
        "profile home has 2 doors; say which: ssh (tcp/22), wake (a command)");
}
