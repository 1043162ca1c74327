// SPDX-License-Identifier: GPL-2.0-or-later
// By what a look knows our table again after another process had it: each case in a network namespace.
#include "netlink/gate.hpp"

#include <memory>
#include <string>

#include "../harness/keeper.hpp"
#include "../harness/own_namespace.hpp"

using namespace knock;
using namespace knock::netlink;

namespace {

const std::string kText = "[gate]\ntrust = [\"192.0.2.0/25\", \"192.0.2.128/25\"]\n" + kSshDoor;

struct World {
  std::shared_ptr<const Config> config = config_of(kText);
  StaticSets sets = static_sets_of(*config);
  Gate gate = *Gate::open();

  World() { REQUIRE(gate.load(*config, sets, {})); }
  bool as_loaded() { return gate.look(*config)->as_loaded; }
};

} // namespace

TEST_CASE("a table is as it was loaded until another process changes its rules or static sets") {
  if (!enter_namespace()) return;
  World world;
  CHECK(world.as_loaded());
  const Change put{Change::Kind::put, {kClient, kSsh}, Seconds{60}, "ssh - knock 1 2"};
  CHECK(world.gate.commit(*world.config, {put}));
  nft("delete element inet knockgate guarded { tcp . 22 }"); // compared by its keys, since trials end by themselves
  CHECK(world.as_loaded());
  for (const std::string change : {
           "add element inet knockgate ours { 80 }",
           "delete element inet knockgate knocks { tcp . 7100 }",
           "flush set inet knockgate trusted4",
           "add element inet knockgate also4 { 198.51.100.0/24 }",
           "add rule inet knockgate guard accept",
           "add table inet knockgate { flags dormant; }",
       }) {
    CAPTURE(change);
    nft(change);
    CHECK_FALSE(world.as_loaded());
    CHECK(world.gate.load(*world.config, world.sets, {}));
    CHECK(world.as_loaded());
  }
}

TEST_CASE("the same text loaded by another makes another table") {
  if (!enter_namespace()) return;
  World world;
  const auto text = boot_text(*world.config, world.sets);
  nft(text); // over ours: new rules
  CHECK_FALSE(world.as_loaded());
  REQUIRE(world.gate.load(*world.config, world.sets, {}));
  nft("delete table inet knockgate\n" + text);
  CHECK_FALSE(world.as_loaded());
}

TEST_CASE("in embed mode the rules are the admin's, the table and our sets are looked at") {
  if (!enter_namespace()) return;
  const auto config = config_of("[nft]\nmode = \"embed\"\ntable = \"inet filter\"\n" + kSshDoor);
  const auto sets = static_sets_of(*config);
  const auto admins = "table inet filter {\n" + *template_text("embed", tokens_of(*config)) + "}\n";
  nft(admins);
  auto gate = *Gate::open();
  REQUIRE(gate.load(*config, sets, {}));
  nft("add chain inet filter more\nadd rule inet filter more accept\n"
      "add set inet filter theirs { type inet_service; }");
  CHECK(gate.look(*config)->as_loaded);
  nft("add element inet filter knocks { udp . 9 }");
  CHECK_FALSE(gate.look(*config)->as_loaded);
  REQUIRE(gate.load(*config, sets, {}));
  nft("delete table inet filter\n" + admins);
  CHECK_FALSE(gate.look(*config)->as_loaded);
}
