// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/config.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
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

TEST_CASE("the installed knockgate.toml has no door, and as comments known keys with their defaults") {
  std::ifstream file(KNOCKGATE_INSTALLED);
  std::string before, text;
  for (std::string line; std::getline(file, line);) {
    before += line + '\n';
    const bool written = line.starts_with('#') && !line.starts_with("# "); // `#key = value`, `#[door.ssh]`
    text += (written ? line.substr(1) : line) + '\n';
  }
  const auto plain = parse(before);
  REQUIRE(plain.config);
  CHECK(plain.config->doors.empty());
  CHECK(plain.findings.empty());

  for (const auto& finding : parse(text).findings) // keys of a door that do not go together
    CHECK_MESSAGE(finding.text.find("unknown") == std::string::npos, to_string(finding));
  const auto door = text.find("[door.ssh]");
  REQUIRE(door != std::string::npos);
  const auto same = parse(text.substr(0, door));
  REQUIRE(same.config);
  auto& config = *same.config;
  CHECK(config.gate.mark == 0x10000U); // an example: it has no default
  const Config usual;
  CHECK(config.gate.reset == usual.gate.reset);
  CHECK(config.control.socket == usual.control.socket);
  CHECK(config.control.write_group == usual.control.write_group);
  CHECK(config.nflog.group == usual.nflog.group);
  CHECK(config.nflog.buffer_bytes == usual.nflog.buffer_bytes);
  CHECK(config.nft.mode == usual.nft.mode);
  CHECK(config.nft.table == usual.nft.table);
  CHECK(config.nft.boot_file == usual.nft.boot_file);
  CHECK(config.limits.attempts == usual.limits.attempts);
  CHECK(config.limits.grants == usual.limits.grants);
  CHECK(config.limits.per_source == usual.limits.per_source);
  CHECK(config.limits.cooloff == usual.limits.cooloff);
  CHECK(config.runner.time == usual.runner.time);
  CHECK(config.log_level == usual.log_level);
  CHECK(config.kn1.ports == usual.kn1.ports);
  CHECK(config.kn1.key == usual.kn1.key);
  CHECK(config.kn1.trust_clock == usual.kn1.trust_clock);
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

TEST_CASE("a door's share is a quarter of all grants, at least 64, and never more than all") {
  const auto share = [](std::string_view limits, std::string_view grants) {
    const auto parsed = parse(kDoor + std::string(grants) + std::string(limits));
    return parsed.config ? parsed.config->doors.at(0).grants : 0;
  };
  CHECK(share("", "") == 16'384);
  CHECK(share("[limits]\ngrants = 200\n", "") == 64);
  CHECK(share("[limits]\ngrants = 20\n", "") == 20);
  CHECK(share("[limits]\ngrants = 200\n", "grants = 200\n") == 200);
  CHECK(share("", "grants = 1\n") == 1);
  CHECK(first_error(kDoor + "grants = 0\n").starts_with("k.toml:4:10: error: grants = 0 is out of limits"));
  CHECK(first_error(kDoor + "grants = 70000\n") ==
        "k.toml:4:10: error: grants = 70000 is more than [limits] grants, 65536 by default; write less here, "
        "or more there");
  const std::vector<ConfigText> texts{
      {"k.toml", "[limits]\n grants = 100\n", ConfigText::Part::main},
      {"doors.d/ssh.toml", kDoor + "grants = 101\n", ConfigText::Part::doors}};
  const auto parsed = parse_config(texts);
  REQUIRE(parsed.findings.size() == 1);
  CHECK(to_string(parsed.findings[0])
            .starts_with("doors.d/ssh.toml:4:10: error: grants = 101 is more than [limits] grants, 100 at "
                         "k.toml:2:2; "));
  // Alone: the limit may stand in a file that is not read.
  CHECK(parse_config(std::vector<ConfigText>{
                         {"doors.d/ssh.toml", kDoor + "grants = 70000\n", ConfigText::Part::doors}})
            .config);
}

TEST_CASE("a step in the words of another program is answered with ours") {
  const auto advice = [](const std::string& knock) {
    const auto error = first_error("[door.x]\nopens = [\"tcp/22\"]\nknock = [" + knock + "]\n");
    return error.substr(std::min(error.find("; ") + 2, error.size()));
  };
  CHECK(advice("'7000:udp'") == "did you mean \"udp/7000\"?");
  CHECK(advice("'7000:udp, 8000:tcp,9000'") ==
        "write each step in quotes: \"udp/7000\", \"tcp/8000\", \"tcp/9000\"");
  CHECK(advice("'tcp/7000:FIN,SYN'") == "did you mean \"tcp/7000:fin+syn\"?");
  CHECK(advice("'tcp/7000:syn,!ack'") == "did you mean \"tcp/7000:syn\"?");
  CHECK(advice("'tcp/7143', '1s', 'tcp/4021'") == "did you mean \"pause 1s\"?");
  for (const auto* length : {"ping -s 42", "icmp:42", "icmp/42", "icmp length 42", "ping/size=42"})
    CHECK(advice(std::string("'") + length + "'") == "did you mean \"icmp/len=42\"?");
  for (const auto* word : {"ping:Passw0rd", "icmp Passw0rd", R"(ICMP:\"Passw0rd\")", R"(ping \"Passw0rd\")"})
    CHECK(advice(std::string("\"") + word + "\"") == "did you mean 'icmp:\"Passw0rd\"'?");
  CHECK(advice("'UDP/53:secret'") == "did you mean 'udp/53:\"secret\"'?");
  CHECK(advice("'icmp/len=70000'").starts_with("write tcp/N or udp/N"));
  CHECK(advice("'icmp', 'udp/7', 'icmp6'") == "write a door for each family");
}

TEST_CASE("each mistake has its line and column and says what to do") {
  CHECK(first_error(kDoor + "knok = 1\n")
            .starts_with("k.toml:4:1: error: unknown key \"knok\" in door ssh; did you mean \"knock\"?"));
  CHECK(first_error(kDoor + "within = 10\n").starts_with("k.toml:4:10: error: "));
  CHECK(first_error(kDoor + "device_knock = true\n")
            .starts_with("k.toml:4:16: error: device_knock = true is not in this version"));
  CHECK(first_error("[engine]\nworkers = 2\n").find("not in this version") != std::string::npos);
  CHECK(first_error(kDoor + kDoor).find("k.toml:1:") != std::string::npos);
  CHECK(first_error(kDoor + "for = \"1m\"\nwithin = \"9s\"\nfor   =   \"2m\"\n")
            .starts_with("k.toml:6:1: error: for stands twice, first at k.toml:4:1; remove one of them"));
}

TEST_CASE("what is proposed for a step keeps its word, can be pasted, and stands on one line") {
  const auto advice = [](const std::string& step) {
    const auto error = first_error("[door.x]\nopens = [\"tcp/22\"]\nknock = [" + step + ", \"tcp/7143\"]\n");
    return error.substr(std::min(error.size(), error.find("; ") + 2));
  };
  CHECK(advice(R"('ICMP:"Passw0rd"')") == R"(did you mean 'icmp:"Passw0rd"'?)");
  CHECK(advice(R"("udp/7:Passw0rd")") == R"(did you mean 'udp/7:"Passw0rd"'?)");
  CHECK(advice(R"("udp/7:it's \\")") == R"(did you mean 'udp/7:"it\x27s \\"'?)");
  CHECK(advice(R"("UDP/7:\"it's\"")") == R"(did you mean 'udp/7:"it\x27s"'?)");
  CHECK(advice(R"("UDP/7:\"two\nlines\"")") == R"(did you mean 'udp/7:"two\x0alines"'?)");
  // Another escape is none: who writes it means no letter.
  CHECK(advice(R"('udp/7:"a\n"')").starts_with("write a word of 1 to 64 bytes in quotes; "));
}

TEST_CASE("no door is named as what another hand opened is") {
  CHECK(first_error("[door.foreign]\nopens = [\"tcp/22\"]\n")
            .starts_with("k.toml:1:7: error: \"foreign\" is what"));
  CHECK(parse("[door.foreign-office]\nopens = [\"tcp/22\"]\n").config);
}

TEST_CASE("what a later version adds is refused, and its default is not") {
  for (const char* line : {"device_knock = true"}) {
    CAPTURE(line);
    CHECK(first_error(kDoor + line + "\n").find("not in this version") != std::string::npos);
  }
  CHECK(parse(kDoor + "device_knock = false\n").config);
}

TEST_CASE("the gate guards hosts behind the router and answers as told") {
  const auto parsed =
      parse("[gate]\nalso = [\"192.0.2.0/24\", \"2001:db8::/64\", \"192.0.2.9\"]\nanswer = \"reset\"\n");
  REQUIRE(parsed.config);
  CHECK(parsed.config->gate.also ==
        std::vector{*parse_prefix("192.0.2.0/24"), *parse_prefix("2001:db8::/64")});
  CHECK(parsed.config->gate.reset);
  CHECK_FALSE(parse("[gate]\nanswer = \"drop\"\n").config->gate.reset);
  CHECK(first_error("[gate]\nalso = [\"lan0\"]\n").starts_with("k.toml:2:9: error: \"lan0\" is no prefix;"));
  CHECK(first_error("[gate]\nanswer = \"reject\"\n")
            .starts_with("k.toml:2:10: error: answer = \"reject\" is no choice"));
  std::string many;
  for (int i = 0; i < 65; ++i) many += "\"192.0.2." + std::to_string(i) + "\", ";
  CHECK(first_error("[gate]\nalso = [" + many + "]\n").starts_with("k.toml:2:8: error: also has 65 entries"));
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

TEST_CASE("a command may run when a grant ends, after one that runs when it begins") {
  const auto parsed = parse(kDoor + "run = [\"/bin/on\"]\nrun_close = [\"/bin/off\", \"now\"]\n");
  REQUIRE(parsed.config);
  CHECK(parsed.config->doors.at(0).run_close == std::vector<std::string>{"/bin/off", "now"});
  CHECK(first_error(kDoor + "run_close = [\"/bin/off\"]\n")
            .starts_with("k.toml:4:1: error: run_close needs run;"));
  CHECK(first_error(kDoor + "run = [\"/bin/on\"]\nrun_close = [\"off\"]\n")
            .starts_with("k.toml:5:14: error: \"off\" is no"));
}

TEST_CASE("a grant ends as its door says") {
  const auto idle = parse(kDoor + "close = \"on-idle\"\nidle = \"30s\"\n");
  REQUIRE(idle.config);
  CHECK(idle.config->doors.at(0).close == Close::on_idle);
  CHECK(idle.config->doors.at(0).idle == 30s);
  const auto gone = parse(kDoor + "close = \"on-disconnect\"\nlinger = \"0s\"\nflows = \"cut\"\n");
  REQUIRE(gone.config);
  CHECK(gone.config->doors.at(0).close == Close::on_disconnect);
  CHECK(gone.config->doors.at(0).linger == 0s);
  CHECK(gone.config->doors.at(0).cut);
  const auto uses = parse(kDoor + "close = \"after\"\nuses = 1\nflows = \"keep\"\n");
  REQUIRE(uses.config);
  CHECK(uses.config->doors.at(0).close == Close::after);
  CHECK(uses.config->doors.at(0).uses == 1);
  CHECK_FALSE(uses.config->doors.at(0).cut);
}

TEST_CASE("what ends a grant has limits") {
  const auto refused = [](const std::string& line) { return first_error(kDoor + line + "\n"); };
  CHECK(refused("close = \"idle\"").starts_with("k.toml:4:9: error: close = \"idle\" is no choice"));
  CHECK(refused("idle = \"4s\"\nclose = \"on-idle\"").starts_with("k.toml:4:8: error: "));
  CHECK(refused("idle = \"2d\"\nclose = \"on-idle\"").starts_with("k.toml:4:8: error: "));
  CHECK(refused("linger = \"2h\"\nclose = \"on-disconnect\"").starts_with("k.toml:4:10: error: "));
  CHECK(refused("uses = 0").starts_with("k.toml:4:8: error: "));
  CHECK(refused("uses = 1001").starts_with("k.toml:4:8: error: "));
  CHECK(refused("uses = 1\nmax = \"8d\"").starts_with("k.toml:5:7: error: "));
  CHECK(parse(kDoor + "uses = 1\nmax = \"7d\"\n").config);
  CHECK(refused("flows = \"kill\"").starts_with("k.toml:4:9: error: "));
}

TEST_CASE("what ends a grant needs and excludes other keys, and says which") {
  const auto refused = [](const std::string& lines) { return first_error(kDoor + lines); };
  CHECK(refused("idle = \"30s\"\n").starts_with("k.toml:4:1: error: idle needs close = \"on-idle\";"));
  CHECK(refused("close = \"on-idle\"\nlinger = \"1s\"\n")
            .starts_with("k.toml:5:1: error: linger needs close = \"on-disconnect\";"));
  for (const char* other : {"close = \"on-idle\"", "close = \"on-disconnect\"", "flows = \"cut\""}) {
    CAPTURE(other);
    CHECK(refused(std::string(other) + "\nuses = 2\n")
              .starts_with("k.toml:5:1: error: uses does not go with " + std::string(other)));
  }
  CHECK(refused("grant = \"/24\"\nuses = 2\n").starts_with("k.toml:5:1: error: uses does not go with grant"));
}

TEST_CASE("nothing lasts longer than max, the idle time neither") {
  CHECK(first_error(kDoor + "for = \"2h\"\nmax = \"1h\"\n")
            .starts_with(
                "k.toml:5:7: error: max = \"1h\" is less than for, \"2h\"; write max = \"2h\" or more"));
  CHECK(first_error(kDoor + "for = \"2d\"\n")
            .starts_with("k.toml:4:7: error: for = \"2d\" is more than max, \"1d\" by"));
  CHECK(first_error(kDoor + "max = \"1m\"\nclose = \"on-idle\"\n")
            .starts_with("k.toml:4:7: error: max = \"1m\" is less than idle, \"5m\" by default; write max"));
  CHECK(parse(kDoor + "max = \"1m\"\nclose = \"on-idle\"\nidle = \"1m\"\n").config);
  CHECK(parse(kDoor + "max = \"1m\"\n").config);
}

TEST_CASE("a door is found by its name while it is enabled") {
  const auto parsed =
      parse(kDoor + "[door.nas]\nopens = [\"tcp/80\"]\nenabled = false\nknock = [\"tcp/7144\", \"udp/1\"]\n");
  REQUIRE(parsed.config);
  CHECK(enabled_door(*parsed.config, "ssh") == &parsed.config->doors.at(0));
  CHECK(enabled_door(*parsed.config, "nas") == nullptr);
  CHECK(enabled_door(*parsed.config, "ss") == nullptr);
}
