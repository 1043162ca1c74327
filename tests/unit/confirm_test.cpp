// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/confirm.hpp>

#include <doctest/doctest.h>

using namespace knock;
using namespace std::chrono_literals;

namespace {

constexpr Port kSsh{Protocol::tcp, 22}, kWeb{Protocol::tcp, 80};
constexpr Instant kNow{100s};

Door door(std::string name, std::vector<Port> opens, std::vector<Step> knock) {
  Door one;
  one.name = std::move(name);
  one.opens = std::move(opens);
  one.knock = std::move(knock);
  return one;
}

Config config_of(std::vector<Door> doors) {
  Config config;
  config.doors = std::move(doors);
  return config;
}

Config two_doors() {
  return config_of({door("ssh", {kSsh}, {{Protocol::tcp, 7143}}), door("web", {kWeb}, {})});
}

OpenGrant grant(std::string name, std::vector<Port> ports, Via via) {
  OpenGrant one;
  one.door = std::move(name);
  one.source = *parse_address("203.0.113.9");
  one.ports = std::move(ports);
  one.via = via;
  return one;
}

Unconfirmed on_trial(std::vector<Port> ports) {
  Unconfirmed trial;
  for (Port port : ports) trial[port] = {.until = kNow + 10s, .begun = kNow - 1s, .uid = 1000};
  return trial;
}

} // namespace

TEST_CASE("unconfirmed ports survive a restart, and end with the boot") {
  Unconfirmed ports = on_trial({kSsh, kWeb});
  ports[kWeb].opening = CameIn{*parse_address("2001:db8::9"), "web", true, 7};
  ports[{Protocol::udp, 53}] = {.until = Instant{7s}};
  const auto text = encode_unconfirmed(ports, "boot-a");
  CHECK(text == "tcp/22 110000 boot-a 99000 1000\ntcp/80 110000 boot-a 99000 1000 2001:db8::9 web hand 7\n"
                "udp/53 7000 boot-a\n");
  CHECK(parse_unconfirmed(text, "boot-a") == ports);
  const auto later = parse_unconfirmed(text, "boot-b");
  REQUIRE(later);
  CHECK(later->at(kSsh).until == Instant{});
  CHECK(later->at(kSsh).uid == 1000U);
  CHECK_FALSE(later->at(kSsh).told);
}

TEST_CASE("that a trial is over is told once, also over a restart") {
  Unconfirmed ports = on_trial({kSsh});
  ports[kSsh].told = true;
  CHECK(parse_unconfirmed(encode_unconfirmed(ports, "a"), "a")->at(kSsh).told);
  CHECK(parse_unconfirmed(encode_unconfirmed(ports, "a"), "b")->at(kSsh).told);
}

TEST_CASE("the state file of an earlier version is read") {
  const auto ports = parse_unconfirmed("tcp/22 105000 boot\nudp/53 7000 other\n", "boot");
  REQUIRE(ports);
  CHECK(ports->at(kSsh) == Trial{.until = Instant{105s}});
  CHECK(ports->at({Protocol::udp, 53}).until == Instant{});
  CHECK(parse_unconfirmed("", "boot") == Unconfirmed{});
}

TEST_CASE("a state file that is not ours is no trial") {
  for (const char* broken :
       {"tcp/22", "tcp/22 1 boot", "tcp/0 1 boot\n", "tcp/22 -1 boot\n", "tcp/22 1x boot\n", "tcp/22 1 \n",
        "tcp/22 1 boot 5\n", "tcp/22 1 boot 5 -1\n", "tcp/22 1 boot 5 4294967296\n",
        "tcp/22 1 boot 5 0 192.0.2.1\n", "tcp/22 1 boot 5 0 192.0.2.1 ssh\n",
        "tcp/22 1 boot 5 0 nowhere ssh knock\n", "tcp/22 1 boot 5 0 192.0.2.1 ssh knock more\n", "\n"}) {
    CAPTURE(broken);
    CHECK_FALSE(parse_unconfirmed(broken, "boot"));
  }
}

TEST_CASE("a knock proves a port; a hand where a door has a knock, a session and a foreign element do not") {
  const auto config = two_doors();
  auto ports = on_trial({kSsh});
  for (const auto via : {Via::session, Via::foreign})
    CHECK_FALSE(note_opening(ports, two_doors(), grant("ssh", {kSsh}, via), kNow));
  CHECK(note_opening(ports, two_doors(), grant("ssh", {kSsh}, Via::hand), kNow));
  CHECK_FALSE(is_proven(config, kSsh, ports.at(kSsh)));
  CHECK(note_opening(ports, two_doors(), grant("ssh", {kSsh}, Via::knock), kNow));
  CHECK(is_proven(config, kSsh, ports.at(kSsh)));
  CHECK_FALSE(note_opening(ports, two_doors(), grant("ssh", {kSsh}, Via::hand), kNow)); // the knock stays
  CHECK_FALSE(note_opening(ports, two_doors(), grant("ssh", {kSsh}, Via::knock), kNow));
  REQUIRE(ports.at(kSsh).opening);
  CHECK(ports.at(kSsh).opening->source == *parse_address("203.0.113.9"));
  CHECK(ports.at(kSsh).opening->door == "ssh");
  CHECK_FALSE(ports.at(kSsh).opening->by_hand);
}

TEST_CASE("a port that no knock opens is proven by hand, until one of its doors gets a knock") {
  auto ports = on_trial({kWeb});
  CHECK(note_opening(ports, two_doors(), grant("web", {kWeb}, Via::hand), kNow));
  CHECK(is_proven(two_doors(), kWeb, ports.at(kWeb)));
  auto config = two_doors();
  config.doors.push_back(door("any", {kSsh, kWeb}, {{Protocol::tcp, 9}}));
  CHECK_FALSE(is_proven(config, kWeb, ports.at(kWeb)));
  REQUIRE(doors_to_prove(config, kWeb).size() == 1);
  CHECK(doors_to_prove(config, kWeb).front()->name == "any");
  config.doors.back().enabled = false;
  CHECK(doors_to_prove(config, kWeb).front()->name == "web");
}

TEST_CASE("a door that signed packets open is proven by one, not by hand") {
  auto config = two_doors();
  config.doors[1].kn1 = true;
  auto ports = on_trial({kWeb});
  CHECK(note_opening(ports, config, grant("web", {kWeb}, Via::hand), kNow));
  CHECK_FALSE(is_proven(config, kWeb, ports.at(kWeb)));
  CHECK(note_opening(ports, config, grant("web", {kWeb}, Via::kn1), kNow));
  CHECK(is_proven(config, kWeb, ports.at(kWeb)));
}

TEST_CASE("an opening counts for its own ports, and while their trial lasts") {
  auto ports = on_trial({kSsh, kWeb});
  CHECK(note_opening(ports, two_doors(), grant("ssh", {kSsh, {Protocol::tcp, 443}}, Via::knock), kNow));
  CHECK_FALSE(ports.at(kWeb).opening);
  CHECK_FALSE(note_opening(ports, two_doors(), grant("web", {kWeb}, Via::hand), kNow + 10s));
}

TEST_CASE("a knock that is no longer the door's proves nothing, nor a door that no longer has the port") {
  auto ports = on_trial({kSsh});
  note_opening(ports, two_doors(), grant("ssh", {kSsh}, Via::knock), kNow);
  CHECK(is_proven(two_doors(), kSsh, ports.at(kSsh)));
  ports = *parse_unconfirmed(encode_unconfirmed(ports, "a"), "a"); // over a restart, with another file
  auto next = two_doors();
  next.doors[0].knock = {{Protocol::tcp, 7144}};
  CHECK_FALSE(is_proven(next, kSsh, ports.at(kSsh)));
  CHECK(note_opening(ports, next, grant("ssh", {kSsh}, Via::knock), kNow)); // the new one does
  CHECK(is_proven(next, kSsh, ports.at(kSsh)));
  next.doors[0].enabled = false;
  CHECK_FALSE(is_proven(next, kSsh, ports.at(kSsh)));
  auto moved = two_doors();
  moved.doors[0].opens = {kWeb};
  moved.doors.push_back(door("new", {kSsh}, {{Protocol::tcp, 9}}));
  ports = on_trial({kSsh});
  CHECK_FALSE(note_opening(ports, moved, grant("ssh", {kSsh}, Via::knock), kNow));
}

TEST_CASE("the boot file leaves out what is on trial or was, and there is none when nothing is guarded") {
  const auto config = two_doors();
  const auto text = boot_file_text(config, on_trial({kSsh}), false);
  CHECK(text.find("guarded { tcp . 80 }") != std::string::npos);
  CHECK(boot_file_text(config, {}, false).find("tcp . 22") != std::string::npos);
  CHECK(boot_file_text(config, {{{Protocol::tcp, 9999}, {}}}, false) == boot_file_text(config, {}, false));
  CHECK(boot_file_text(config, {}, true).empty());
  CHECK(boot_file_text(Config{}, {}, false).empty());
  auto embedded = config;
  embedded.nft.mode = Mode::embed;
  CHECK(boot_file_text(embedded, {}, false).empty());
}

TEST_CASE("the hash of a config is one of all texts and where each ends") {
  const auto hash = [](std::string one, std::string two) {
    const std::vector<ConfigText> texts{{"a", std::move(one), ConfigText::Part::main},
                                        {"b", std::move(two), ConfigText::Part::doors}};
    return parse_config(texts).config.value().hash;
  };
  CHECK(hash("", "").size() == 64);
  CHECK(hash("# x\n", "# y\n") == hash("# x\n", "# y\n"));
  CHECK(hash("# x\n", "# y\n") != hash("# x\n", "# z\n"));
  CHECK(hash("# x\n", "# y\n") != hash("# x\n# y\n", ""));
}
