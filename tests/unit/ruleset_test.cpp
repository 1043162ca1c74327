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

TEST_CASE("static sets hold the ports of enabled doors only") {
  const auto sets = static_sets_of(config_with_doors());
  REQUIRE(sets.guarded.size() == 1);
  CHECK(sets.guarded[0].port == Port{Protocol::tcp, 22});
  CHECK(sets.knocks.size() == 2);
}

TEST_CASE("elements replace what a set held, in one text") {
  auto sets = static_sets_of(config_with_doors());
  sets.trust_interfaces = {"lan0"};
  sets.trust_prefixes = {*parse_prefix("198.51.100.0/24"), *parse_prefix("2001:db8::/32")};
  sets.guarded[0].left = 5s;
  const auto text = elements_text("knockgate", Mode::gate, sets);
  for (const char* part :
       {"flush set inet knockgate ours\nadd element inet knockgate ours { 22, 7143, 12899 }",
        "guarded { tcp . 22 timeout 5000ms }", "knocks { tcp . 7143, udp . 12899 }",
        "trusted_if { \"lan0\" }", "trusted4 { 198.51.100.0/24 }", "trusted6 { 2001:db8::/32 }"})
    CHECK_MESSAGE(has(text, part), part);
  CHECK_FALSE(has(elements_text("fw", Mode::embed, sets), "trusted"));
  CHECK(elements_text("knockgate", Mode::gate, {}).find("add element") == std::string::npos);
}

TEST_CASE("the boot file holds no unconfirmed port") {
  const auto config = config_with_doors();
  auto sets = static_sets_of(config);
  CHECK(has(boot_text(config, sets), "guarded { tcp . 22 }"));
  sets.guarded[0].left = 5s;
  CHECK_FALSE(has(boot_text(config, sets), "tcp . 22"));
}

TEST_CASE("an unconfirmed port is loaded with its time left, and not at all once it ended") {
  const Instant now{100s};
  const Unconfirmed ports{{{Protocol::tcp, 22}, {.until = now + 5s}}};
  const auto sets = static_sets_of(config_with_doors());
  CHECK(with_unconfirmed(sets, ports, now).guarded.at(0).left == 5s);
  CHECK(with_unconfirmed(sets, ports, now + 5s).guarded.empty());
  CHECK_FALSE(with_unconfirmed(sets, {}, now).guarded.at(0).left);
}
