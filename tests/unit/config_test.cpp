// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/config.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace knock;
using namespace std::chrono_literals;

namespace {

ParsedConfig parse(std::string text) {
  return parse_config(std::vector{ConfigText{"k.toml", std::move(text), ConfigText::Part::main}});
}

std::string first_error(std::string text) {
  const auto parsed = parse(std::move(text));
  return parsed.config || parsed.findings.empty() ? "" : to_string(parsed.findings[0]);
}

const std::string kDoor =
    "[door.ssh]\nopens = [\"tcp/22\"]\nknock = [\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"]\n";

} // namespace

TEST_CASE("an empty file is a config with every default") {
  const auto parsed = parse("");
  REQUIRE(parsed.config);
  CHECK(parsed.config->nflog.group == 40);
  CHECK(parsed.config->limits.attempts == 524'288);
  CHECK(parsed.config->limits.cooloff == 30s);
  CHECK(parsed.config->doors.empty());
}

TEST_CASE("a door with all of its keys") {
  const auto parsed =
      parse(kDoor +
            "within = \"20s\"\nstrays = 3\nreorder = \"0s\"\nfor = \"1m\"\nmax = \"2h\"\nenabled = false\n");
  REQUIRE(parsed.config);
  const auto& door = parsed.config->doors.at(0);
  CHECK(door.name == "ssh");
  CHECK(door.knock.size() == 4);
  CHECK(door.within == 20s);
  CHECK(door.strays == 3);
  CHECK(door.reorder == 0s);
  CHECK(door.open_for == 60s);
  CHECK(door.max == 2h);
  CHECK_FALSE(door.enabled);
  CHECK(parsed.secret_files == std::vector<std::string>{"k.toml"});
}

TEST_CASE("each mistake has its line and column and says what to do") {
  CHECK(first_error(kDoor + "knok = 1\n")
            .starts_with("k.toml:4:1: error: unknown key \"knok\" in door ssh; did you mean \"knock\"?"));
  CHECK(first_error(kDoor + "within = 10\n").starts_with("k.toml:4:10: error: "));
  CHECK(first_error("[gate]\nanswer = \"reset\"\n").find("not in this version") != std::string::npos);
  CHECK(first_error("[engine]\nworkers = 2\n").find("not in this version") != std::string::npos);
  CHECK(first_error(kDoor + kDoor).find("k.toml:1:") != std::string::npos);
}

TEST_CASE("letters beyond ASCII stand in quotes and comments only") {
  CHECK(parse("# gr\xc3\xbc\xc3\x9f\x65\n" + kDoor).config);
  CHECK(first_error("\xc3\xa4 = 1\n").starts_with("k.toml:1:1: error: no TOML: a letter"));
  CHECK(
      first_error("\n\nx = \"\"\"\n\n\"\"\" \xc3\xa4\n").starts_with("k.toml:5:1: error: no TOML: a letter"));
  CHECK(parse("\xef\xbb\xbf" + kDoor).config);
}

TEST_CASE("durations are strings with one unit") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("7d") == 168h);
  for (const char* text : {"", "10", "s", "10 s", "1.5s", "-1s", "1h30m", "010s", "99999999999s"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("proposed knock ports are four, of both protocols, high, different, and not taken") {
  PortNumbers taken;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto ports = propose_knock(seed, taken);
    REQUIRE(ports.size() == 4);
    CHECK(std::any_of(ports.begin(), ports.end(), [](Port port) { return port.protocol == Protocol::udp; }));
    CHECK(std::any_of(ports.begin(), ports.end(), [](Port port) { return port.protocol == Protocol::tcp; }));
    CHECK_FALSE(
        std::is_sorted(ports.begin(), ports.end(), [](Port a, Port b) { return a.number < b.number; }));
    for (Port port : ports) CHECK(port.number > 1024);
  }
  const auto first = propose_knock(1, taken);
  taken.set(first[0].number);
  const auto second = propose_knock(1, taken);
  CHECK(
      std::none_of(second.begin(), second.end(), [&](Port port) { return port.number == first[0].number; }));
}

TEST_CASE("a door may run a command, beside its ports or alone") {
  const auto parsed =
      parse("[runner]\ntime = \"1m\"\n[door.wake]\nrun = [\"/usr/bin/wakeonlan\", \"a; b\"]\n"
            "cooldown = \"0s\"\nknock = [\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"]\n");
  REQUIRE(parsed.config);
  const auto& door = parsed.config->doors.at(0);
  CHECK(door.opens.empty());
  CHECK(door.run == std::vector<std::string>{"/usr/bin/wakeonlan", "a; b"});
  CHECK(door.cooldown == 0s);
  CHECK(parsed.config->runner.time == 1min);
}

TEST_CASE("what is no command is refused with its place") {
  const auto run = [](std::string words) { return first_error("[door.x]\nrun = [" + words + "]\n"); };
  CHECK(run("\"wakeonlan\"").find("k.toml:2:8: error: \"wakeonlan\" is no absolute path") == 0);
  CHECK(run("").find("k.toml:2:") == 0);
  CHECK(run("\"/x\", \"a\\u0000b\"").find("k.toml:2:14: error: a word of run holds a NUL") == 0);
  CHECK(run("\"/x\", \"" + std::string(4096, 'y') + "\"").find("too long") != std::string::npos);
  CHECK(first_error("[door.x]\nopens = [\"tcp/22\"]\ncooldown = \"1s\"\n").find("cooldown needs run") !=
        std::string::npos);
}
