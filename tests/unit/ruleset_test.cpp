// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/confirm.hpp>
#include <knock/ruleset.hpp>

#include <doctest/doctest.h>

using namespace knock;
using namespace std::chrono_literals;

namespace {

Config config_with_doors() {
  Config config;
  Door ssh;
  ssh.name = "ssh";
  ssh.opens = {{Protocol::tcp, 22}};
  ssh.knock = {{Protocol::tcp, 7143}, {Protocol::udp, 12899}};
  Door off = ssh;
  off.name = "off";
  off.opens = {{Protocol::tcp, 9999}};
  off.enabled = false;
  config.doors = {ssh, off};
  return config;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("the tokens of a template are replaced, and nothing else") {
  const auto plain = *template_text("gate", {});
  CHECK(has(plain, "log group 40 queue-threshold 1"));
  const auto text = *template_text("gate", {"doors", 41, 1000, 0x10000, 0xbeef});
  for (const char* part :
       {"table inet doors {", "log group 41 return\n", "log group 42 return\n", "log group 43 return\n",
        "log group 44 return\n", "mod 4 seed 0xbeef vmap", "size 2000;", "mark or 0x10000\n", "size 65535"})
    CHECK_MESSAGE(has(text, part), part);
  for (const char* part : {"group 40", "size 131072", "mark or 0x0\n", "table inet knockgate", "seed 0x1 "})
    CHECK_MESSAGE(!has(text, part), part);
  CHECK(has(*template_text("embed", {}), "chain knockgate_grants"));
  CHECK(has(*template_text("forward", {"doors", 40, 1000, 0, 1}), "table inet doors {\n  map forward4"));
  CHECK(has(*template_text("cut", {}), "chain answers"));
  CHECK_FALSE(template_text("backward", {}));
}

TEST_CASE("rules that other traffic pays for are loaded only for a config with 64 guarded ports in a row") {
  auto config = config_with_doors();
  CHECK_FALSE(has(rules_text(config), "@ours_wide"));
  config.doors[0].ranges = {{{Protocol::udp, 60'001}, {Protocol::udp, 60'064}}};
  CHECK(has(rules_text(config), "chain gate {\n    th dport @ours_wide goto ours\n"));
}

TEST_CASE("static sets hold the ports of enabled doors only") {
  const auto sets = static_sets_of(config_with_doors());
  REQUIRE(sets.guarded.size() == 1);
  CHECK(sets.guarded[0].port == Port{Protocol::tcp, 22});
  CHECK(sets.knocks.size() == 2);
}

TEST_CASE("elements replace what a set held, in one text") {
  auto sets = static_sets_of(config_with_doors());
  sets.trust_interfaces = {"lan0", "wg*"};
  sets.trust_prefixes = {*parse_prefix("198.51.100.0/24"), *parse_prefix("2001:db8::/32")};
  sets.guarded[0].left = 5s;
  const auto text = elements_text("knockgate", Mode::gate, sets);
  for (const char* part :
       {"flush set inet knockgate ours\nadd element inet knockgate ours { 22, 7143, 12899 }",
        "guarded { tcp . 22 timeout 5000ms }", "knocks { tcp . 7143, udp . 12899 }",
        "trusted_if { \"lan0\" }", "trusted_ifs { \"wg*\" }", "trusted4 { 198.51.100.0/24 }",
        "trusted6 { 2001:db8::/32 }"})
    CHECK_MESSAGE(has(text, part), part);
  CHECK_FALSE(has(elements_text("fw", Mode::embed, sets), "trusted"));
  CHECK_FALSE(has(text, "add element inet knockgate ours_wide"));
  CHECK(elements_text("knockgate", Mode::gate, {}).find("add element") == std::string::npos);
}

TEST_CASE(
    "64 guarded ports in a row are one element of ours, of either protocol; a knock among them has its own") {
  StaticSets sets;
  const auto guard = [&](Protocol protocol, int first, int last) {
    for (int number = first; number <= last; ++number)
      sets.guarded.push_back({{protocol, static_cast<std::uint16_t>(number)}, {}});
  };
  guard(Protocol::tcp, 22, 22);
  guard(Protocol::tcp, 100, 162); // 63
  guard(Protocol::tcp, 1000, 1040);
  guard(Protocol::udp, 1030, 1063);
  guard(Protocol::udp, 65'472, 65'535);
  sets.knocks = {{Protocol::udp, 1010}};
  for (const auto mode : {Mode::gate, Mode::embed}) {
    const auto text = elements_text("t", mode, sets);
    CHECK(has(text, "add element inet t ours_wide { 1000-1063, 65472-65535 }"));
    CHECK(has(text, "add element inet t ours { 22, 100, 101, "));
    CHECK(has(text, " 161, 162, 1010 }"));
  }
}

TEST_CASE("the boot file holds no unconfirmed port") {
  const auto config = config_with_doors();
  auto sets = static_sets_of(config);
  CHECK(has(boot_text(config, sets), "guarded { tcp . 22 }"));
  sets.guarded[0].left = 5s;
  CHECK_FALSE(has(boot_text(config, sets), "tcp . 22"));
  CHECK(guarded_in(boot_text(config, sets)).empty());
}

TEST_CASE("a boot file says which ports it guards") {
  const auto config = config_with_doors();
  auto sets = static_sets_of(config);
  sets.guarded = {{{Protocol::tcp, 22}, {}}, {{Protocol::udp, 53}, {}}};
  CHECK(guarded_in(boot_text(config, sets)) == std::vector<Port>{{Protocol::tcp, 22}, {Protocol::udp, 53}});
  for (const char* text :
       {"", "guarded", "add element inet x guarded { ", "add element inet x guarded { tcp . }",
        "add element inet x guarded { icmp . 22 }", "add element inet x guarded { tcp . 99999 }"})
    CHECK(guarded_in(text).empty());
}

TEST_CASE("an unconfirmed port is loaded with its time left, and not at all once it ended") {
  const Instant now{100s};
  const Unconfirmed ports{{{Protocol::tcp, 22}, {.until = now + 5s}}};
  const auto sets = static_sets_of(config_with_doors());
  CHECK(with_unconfirmed(sets, ports, now).guarded.at(0).left == 5s);
  CHECK(with_unconfirmed(sets, ports, now + 5s).guarded.empty());
  CHECK_FALSE(with_unconfirmed(sets, {}, now).guarded.at(0).left);
}

TEST_CASE("a batch is add, delete, add of each set, so many changes at once; what is surely there is not "
          "added first") {
  using Act = BatchPart::Act;
  Batch batch;
  for (std::uint16_t port = 1; port <= 5; ++port)
    batch.push_back({port == 2 || port == 5 ? Change::Kind::remove : Change::Kind::put,
                     {*parse_address(port == 4 ? "2001:db8::9" : "203.0.113.9"), {Protocol::tcp, port}}});
  const auto told = [&](bool removals_there) {
    std::string text;
    for (const auto& part : parts_of(batch, 2, removals_there)) {
      text += part.begins ? " | " : " ";
      text += part.removes ? "r" : "";
      text += part.act == Act::hold ? "hold" : part.act == Act::remove ? "remove" : "put";
      for (const auto* change : part.changes) text += std::to_string(change - batch.data() + 1);
    }
    return text;
  };
  CHECK(told(false) == " | rhold12 rremove12 rput1 | rhold35 rremove35 rput3 | hold4 remove4 put4");
  CHECK(told(true) == " | rhold1 rremove12 rput1 | rhold3 rremove35 rput3 | hold4 remove4 put4");
  batch.pop_back();
  batch.erase(batch.begin());
  CHECK(told(true) == " | rhold2 rremove12 rput2 | hold3 remove3 put3");
  batch.resize(1);
  CHECK(told(true) == " | rremove1");
  CHECK(parts_of({}, 0).empty());
}

TEST_CASE("a batch as text upserts what it puts, each kind of grant in its own set") {
  const Target old_target{*parse_address("192.0.2.20"), 443}, target{*parse_address("192.0.2.21"), 8443};
  const auto key = [](GrantSet set, std::string_view source, std::uint16_t port) {
    return GrantKey{*parse_address(source), {Protocol::tcp, port}, set};
  };
  Batch batch{{Change::Kind::put, key(GrantSet::open, "203.0.113.9", 22), 30s, "ssh - knock 1 2"},
              {Change::Kind::remove, key(GrantSet::open, "203.0.113.8", 22)},
              {Change::Kind::put, key(GrantSet::uses, "203.0.113.9", 80), 1s},
              {Change::Kind::put, key(GrantSet::forward, "2001:db8::9", 8443), 1s}};
  batch[0].traffic = {3, 180};
  batch[2].uses = 4;
  batch[3].held = old_target;
  batch[3].target = target;
  CHECK(
      batch_text("t", batch) ==
      "add element inet t open4 { 203.0.113.9 . tcp . 22, 203.0.113.8 . tcp . 22 }\n"
      "delete element inet t open4 { 203.0.113.9 . tcp . 22, 203.0.113.8 . tcp . 22 }\n"
      "add element inet t open4 { 203.0.113.9 . tcp . 22 counter packets 3 bytes 180 timeout 30000ms "
      "comment \"ssh - knock 1 2\" }\n"
      "add element inet t uses4 { 203.0.113.9 . tcp . 80 }\n"
      "delete element inet t uses4 { 203.0.113.9 . tcp . 80 }\n"
      "add element inet t uses4 { 203.0.113.9 . tcp . 80 limit rate 1/week burst 4 packets counter packets 0 "
      "bytes 0 timeout 1000ms }\n"
      "add element inet t forward6 { 2001:db8::9 . tcp . 8443 : 192.0.2.20 . 443 }\n"
      "delete element inet t forward6 { 2001:db8::9 . tcp . 8443 : 192.0.2.20 . 443 }\n"
      "add element inet t forward6 { 2001:db8::9 . tcp . 8443 timeout 1000ms : 192.0.2.21 . 8443 }\n");
  CHECK(batch_text("t", {}).empty());
}

TEST_CASE("what embed mode looks for is what embed.nft says") {
  const auto shapes = embed_shapes();
  CHECK(shapes.size() == 20);
  const auto text = *template_text("embed", {});
  for (const auto& shape : shapes) {
    CAPTURE(shape.name);
    CHECK(text.find(shape.definition) != text.npos);
  }
  const auto is = [&](std::size_t at, std::string_view name, std::uint32_t type, std::uint32_t bytes) {
    CHECK(shapes[at].name == name);
    CHECK(shapes[at].key_type == type);
    CHECK(shapes[at].key_bytes == bytes);
  };
  is(0, "open4", 7U << 12U | 12U << 6U | 13U, 12);
  is(3, "net6", 8U << 12U | 12U << 6U | 13U, 24);
  is(6, "session4", 7U << 12U | 13U << 6U | 13U, 12);
  is(8, "guarded", 12U << 6U | 13U, 8);
  is(11, "ours", 13U, 2);
  CHECK(shapes[8].definition == "type inet_proto . inet_service; flags timeout;");
  CHECK(shapes[0].definition ==
        "type ipv4_addr . inet_proto . inet_service; flags timeout; timeout 30s; size 131072; counter;");
}
