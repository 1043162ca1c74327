// SPDX-License-Identifier: GPL-2.0-or-later
// By what a look knows our table again after another process had it: each case in a network namespace.
#include "netlink/gate.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <fmt/format.h>

#include "../harness/keeper.hpp"
#include "../harness/own_namespace.hpp"
#include "netlink/ruleset.hpp"
#include "netlink/table_watch.hpp"

using namespace knock;
using namespace knock::netlink;

namespace {

const std::string kText = "[gate]\ntrust = [\"192.0.2.0/25\", \"192.0.2.128/25\"]\n" + kSshDoor;

struct World {
  std::shared_ptr<const Config> config = config_of(kText);
  StaticSets sets = static_sets_of(*config);
  Gate gate = *Gate::open();

  World() { REQUIRE(gate.load(*config, sets, {})); }
  /// As the keeper looks, when another process committed.
  bool as_loaded() {
    CHECK(gate.grants(*config));
    return gate.look(*config)->as_loaded;
  }
  /// What does not depend on who loaded it, or when: chains, and sets without their elements.
  static std::string definition() {
    auto text = *list_terse("list table inet knockgate");
    for (std::size_t at = 0; (at = text.find("\"handle\": ", at)) != std::string::npos;)
      text.erase(at, text.find_first_of(",}", at) - at);
    return text;
  }
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
  const auto definition = world.definition();
  for (const std::string change : {
           "add element inet knockgate ours { 80 }",
           "insert rule inet knockgate gate tcp dport 22 log group 2",
           "delete element inet knockgate knocks { tcp . 7100 }",
           "flush set inet knockgate trusted4",
           "add element inet knockgate also4 { 198.51.100.0/24 }",
           "add rule inet knockgate guard accept",
           "add table inet knockgate { flags dormant; }",
           "add chain inet knockgate theirs { type filter hook input priority 0; policy drop; }",
           "add chain inet knockgate more",
           "add chain inet knockgate stray { policy drop; }",
           "flush table inet knockgate; delete chain inet knockgate guard; add chain inet knockgate guard "
           "{ type filter hook input priority 0; policy drop; }",
           "flush table inet knockgate; delete chain inet knockgate stray; add chain inet knockgate stray "
           "{ type filter hook forward priority 0; policy accept; }",
           "delete element inet knockgate trusted4 { 192.0.2.0/25, 192.0.2.128/25 }; "
           "add element inet knockgate trusted4 { 0.0.0.0-192.0.1.255, 192.0.3.0-255.255.255.255 }",
           "add element inet knockgate guarded { sctp . 22 }",
           "flush table inet knockgate; delete set inet knockgate net4; add set inet knockgate net4 "
           "{ type ipv4_addr . inet_proto . inet_service; flags timeout; counter; }",
           "add element inet knockgate range4 { 203.0.113.0-203.0.113.255 . tcp . 22 timeout 1h }",
           "add element inet knockgate open4 { 203.0.113.66 . sctp . 22 timeout 1h }",
       }) {
    CAPTURE(change);
    nft(change);
    CHECK_FALSE(world.as_loaded());
    CHECK(world.gate.look(*world.config)->group.value_or(40) ==
          40); // not what a rule of another hand logs to
    CHECK(world.gate.load(*world.config, world.sets, {}));
    CHECK(world.as_loaded());
    CHECK(world.definition() == definition); // and not what another made, taken for ours
  }
}

TEST_CASE("what another commits while a load is read back is no part of it") {
  if (!enter_namespace()) return;
  World world;
  for (int i = 1; i < 3'000; ++i) // to read them takes a while
    world.sets.trust_prefixes.push_back(*parse_prefix(fmt::format("2001:db8:{:x}::/64", i)));
  REQUIRE(world.gate.load(*world.config, world.sets, {}));
  auto nftables = Nftables::open();
  REQUIRE(nftables);
  const auto rules = nftables->rules("knockgate")->size();
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    const auto events = *NetlinkSocket::open(NETLINK_NETFILTER, 1U << (NFNLGRP_NFTABLES - 1U));
    const auto other = ::fork(); // no thread: they cannot share libnftables
    if (other == 0) {
      pollfd commit{events.fd(), POLLIN, 0};
      ::poll(&commit, 1, 25'000);
      (void)load_ruleset("insert rule inet knockgate guard accept");
      ::_exit(0);
    }
    CHECK(world.gate.load(*world.config, world.sets, {}));
    ::waitpid(other, nullptr, 0);
    CHECK((nftables->rules("knockgate")->size() == rules || !world.as_loaded()));
  }
  REQUIRE(world.gate.load(*world.config, world.sets, {}));
  CHECK(world.as_loaded());
}

TEST_CASE("who commits all the time, and into our table, too, gets nothing taken for ours") {
  if (!enter_namespace()) return;
  World world;
  auto watch = *TableWatch::open("knockgate");
  const auto again = [](const char* text) { // a process: threads cannot share libnftables
    const auto child = ::fork();
    while (child == 0) (void)load_ruleset(text);
    return child;
  };
  const auto end = [](pid_t child) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  };
  int there = 0;
  for (int round = 0; round < 30; ++round) {
    CAPTURE(round);
    const auto elsewhere = again("add table inet storm; delete table inet storm");
    const auto into_ours = again("add element inet knockgate trusted4 { 203.0.113.66 }");
    CHECK(world.gate.load(*world.config, world.sets, {}));
    end(into_ours);
    end(elsewhere);
    for (const auto& disturbance : watch.drain(world.gate.port_id())) world.gate.hear(disturbance);
    if (!list_terse("get element inet knockgate trusted4 { 203.0.113.66 }")) continue;
    ++there;
    CHECK_FALSE(world.as_loaded());
  }
  CHECK(there != 0); // else this test is blind
  REQUIRE(world.gate.load(*world.config, world.sets, {}));
  CHECK(world.as_loaded());
}

TEST_CASE("another default end or size of a set is another table, where the kernel changes it in place") {
  if (!enter_namespace()) return;
  World world;
  const auto definition = world.definition();
  for (const std::string rest : {"size 131072", "timeout 30s; size 9", "timeout 30d; size 131072"}) {
    CAPTURE(rest);
    nft("add set inet knockgate net4 { type ipv4_addr . inet_proto . inet_service; flags timeout; " + rest +
        "; counter; }");
    CHECK(world.as_loaded() == (world.definition() == definition)); // before 6.5 it does not
    CHECK(world.gate.load(*world.config, world.sets, {}));
    CHECK(world.as_loaded());
    CHECK(world.definition() == definition);
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

TEST_CASE("in embed mode what the admin's chains lack is told, with the line to type") {
  if (!enter_namespace()) return;
  const auto config = config_of("[nft]\nmode = \"embed\"\ntable = \"inet filter\"\n" + kSshDoor);
  const auto sets = static_sets_of(*config);
  const auto admins = "table inet filter {\n" + *template_text("embed", tokens_of(*config)) +
                      "  chain input {\n    type filter hook input priority 0;\n    jump knockgate_grants\n"
                      "    tcp dport vmap { 1-1000 : jump knockgate_knocks }\n  }\n}\n";
  auto gate = *Gate::open();
  const auto faults = [&] { return gate.look(*config)->faults; };
  nft(admins);
  REQUIRE(gate.load(*config, sets, {}));
  CHECK(faults().empty());
  nft("add rule inet filter input accept\nadd chain inet filter more");
  CHECK(faults().empty());
  const std::pair<std::string, std::string> changes[] = {
      {"flush chain inet filter knockgate_guard", "chain knockgate_guard is empty"},
      {"insert rule inet filter knockgate_guard accept", "chain knockgate_guard has 12 rules, not 11"},
      {"flush chain inet filter knockgate_grants\nadd rule inet filter knockgate_grants iif lo return\n"
       "add rule inet filter knockgate_grants th dport @ours meta l4proto . th dport != @guarded goto "
       "knockgate_guard\nadd rule inet filter knockgate_grants th dport @ours_wide meta l4proto . th dport "
       "@guarded "
       "goto knockgate_guard",
       "rule 2 of chain knockgate_grants is not `@ours @guarded goto knockgate_guard`"},
      {"flush chain inet filter input", "no rule jumps to knockgate_grants"},
      {"flush chain inet filter input\nadd rule inet filter input jump knockgate_grants",
       "no rule jumps to knockgate_knocks"},
      {"flush chain inet filter input\ndelete chain inet filter knockgate_knocks",
       "chain knockgate_knocks is gone"},
      {"add table inet filter { flags dormant; }", "is dormant"},
  };
  for (const auto& [change, text] : changes) {
    CAPTURE(change);
    nft(change);
    CHECK(gate.look(*config)->as_loaded == (text != "is dormant"));
    REQUIRE_FALSE(faults().empty());
    CHECK(faults()[0].text.find(text) != std::string::npos);
    CHECK(faults()[0].run.starts_with("sudo nft "));
    nft("delete table inet filter\n" + admins);
    CHECK(faults().empty());
    REQUIRE(gate.load(*config, sets, {}));
  }
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
