// SPDX-License-Identifier: GPL-2.0-or-later
// What others do to our table, done by nft as another process; what we do, by our own hands.
#include "netlink/table_watch.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <chrono>

#include <knock/ruleset.hpp>

#include "../harness/own_namespace.hpp"
#include "netlink/nftables.hpp"
#include "netlink/ruleset.hpp"

using namespace knock;
using namespace knock::netlink;
using namespace knock::system;

namespace {

std::string rules() {
  return *template_text("gate", TemplateTokens{});
}

GrantKey key(GrantSet set, std::string_view address, Protocol protocol, std::uint16_t port) {
  return {*parse_address(address), {protocol, port}, set};
}
const GrantKey kSsh = key(GrantSet::open, "203.0.113.9", Protocol::tcp, 22);
const GrantKey kDns = key(GrantSet::net, "2001:db8::", Protocol::udp, 53);
constexpr auto kAddBoth = "add element inet knockgate open4 { 203.0.113.9 . tcp . 22 }\n"
                          "add element inet knockgate net6 { 2001:db8:: . udp . 53 }\n";

/// Our template loaded by us, two grants in it, and the watch that saw nothing of that.
struct World {
  TableWatch watch = *TableWatch::open("knockgate");
  Nftables ours = *Nftables::open();

  World() {
    REQUIRE(load_ruleset(rules() + kAddBoth));
    REQUIRE(seen().empty());
  }
  std::vector<Disturbance> seen() { return watch.drain(ours.port_id()); }
  Disturbance after(const std::string& text) {
    nft(text);
    const auto found = seen();
    REQUIRE(found.size() == 1);
    CHECK(found[0].by == "nft");
    CHECK_FALSE(found[0].overran);
    return found[0];
  }
  std::vector<wire::RawElement> elements(const std::string& set) { return *ours.elements("knockgate", set); }
};

template<class Condition>
void await(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(25);
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    ::usleep(10'000);
  }
}

void send_udp(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  CHECK(::sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 1);
  ::close(fd);
}

} // namespace

TEST_CASE("a table that goes is broken, however it goes, and its grants are not told one by one") {
  if (!enter_namespace()) return;
  World world;
  for (const auto* text : {"flush ruleset", "delete table inet knockgate",
                           "flush set inet knockgate open4\ndelete table inet knockgate"}) {
    const auto found = world.after(text);
    CHECK(found.broken);
    CHECK(found.removed.empty());
    CHECK_FALSE(found.set_made);
    REQUIRE(load_ruleset(rules() + kAddBoth));
    REQUIRE(world.seen().empty());
  }
}

TEST_CASE("flush and load in one transaction is broken too, and the sets are made") {
  if (!enter_namespace()) return;
  World world;
  const auto found = world.after("flush ruleset\n" + rules());
  CHECK(found.broken);
  CHECK(found.set_made);
  CHECK(found.removed.empty());
}

TEST_CASE("a chain flushed, a set deleted, a chain deleted: each is broken") {
  if (!enter_namespace()) return;
  World world;
  CHECK(world.after("flush chain inet knockgate gate").broken);
  const auto both = world.after("flush table inet knockgate\ndelete set inet knockgate open4");
  CHECK(both.broken);
  CHECK(both.removed.empty());
  CHECK(world.after("delete chain inet knockgate gate").broken);
  CHECK(world.after("delete set inet knockgate guarded").broken);
  const auto again = world.after(rules());
  CHECK(again.set_made);
}

TEST_CASE("a deleted element and a flushed set name the grants that went, and nothing is broken") {
  if (!enter_namespace()) return;
  World world;
  const auto one = world.after("delete element inet knockgate open4 { 203.0.113.9 . tcp . 22 }");
  CHECK(one.removed == std::vector{kSsh});
  CHECK_FALSE(one.broken);
  nft("add element inet knockgate open4 { 203.0.113.9 . tcp . 22 }");
  const auto added = world.seen(); // which is found where elements are dumped
  REQUIRE(added.size() == 1);
  CHECK(added[0].changed);
  CHECK_FALSE(added[0].broken);
  const auto two = world.after("flush set inet knockgate net6\nflush set inet knockgate open4");
  CHECK(two.removed == std::vector{kSsh, kDns});
  CHECK_FALSE(two.broken);
}

TEST_CASE("rules, tables and elements that another adds change what is ours, and only that") {
  if (!enter_namespace()) return;
  World world;
  for (const std::string text :
       {"add rule inet knockgate guard accept", "add chain inet knockgate more",
        "add table inet knockgate { flags dormant; }", "add element inet knockgate ours { 80 }",
        "add set inet knockgate more { type ipv4_addr; }"}) {
    CAPTURE(text);
    const auto found = world.after(text);
    CHECK(found.changed);
    CHECK_FALSE(found.broken);
    CHECK(found.removed.empty());
  }
  nft("add table inet other { chain guard { accept; }; set open4 { type ipv4_addr; elements = { 203.0.113.9 "
      "} }; }");
  CHECK(world.seen().empty());
}

TEST_CASE("what is deleted and put back in one commit is not removed") {
  if (!enter_namespace()) return;
  World world;
  const auto same = world.after("flush set inet knockgate open4\n" + std::string(kAddBoth));
  CHECK(same.removed.empty());
  CHECK(same.changed); // perhaps with another end
  CHECK(world
            .after("add element inet knockgate open4 { 203.0.113.9 . tcp . 22 }\n"
                   "delete element inet knockgate open4 { 203.0.113.9 . tcp . 22 }")
            .removed == std::vector{kSsh});
}

TEST_CASE("an element missing from a set that the config fills is broken; of one the rules fill, nothing") {
  if (!enter_namespace()) return;
  World world;
  REQUIRE(load_ruleset("add element inet knockgate guarded { tcp . 22, tcp . 23 }\n"
                       "add element inet knockgate knocking4 { 203.0.113.9 }"));
  nft("flush set inet knockgate guarded\nadd element inet knockgate guarded { tcp . 22, tcp . 23 }");
  auto same = world.seen();
  REQUIRE(same.size() == 1);
  CHECK(same[0].changed);
  CHECK_FALSE(same[0].broken);
  nft("flush set inet knockgate knocking4\nadd element inet knockgate knocking4 { 203.0.113.9 }");
  CHECK(world.seen().empty());
  const auto found = world.after("delete element inet knockgate guarded { tcp . 23 }");
  CHECK(found.broken);
  CHECK(found.removed.empty());
}

TEST_CASE("other tables, of this name in another family too, are none of our business") {
  if (!enter_namespace()) return;
  World world;
  nft("add table ip knockgate\nadd set ip knockgate open4 { type ipv4_addr; }\nadd table inet fw\n"
      "add chain inet fw input\nadd rule inet fw input accept");
  nft("delete table ip knockgate\ndelete table inet fw");
  CHECK(world.seen().empty());
}

TEST_CASE("an element that ends, is collected, or counts a packet makes no event") {
  if (!enter_namespace()) return;
  World world;
  nft("delete table inet knockgate\n"
      "table inet knockgate {\n"
      "  set open4 { type ipv4_addr . inet_proto . inet_service; flags timeout; timeout 30s; size 1; }\n"
      "  set uses4 { type ipv4_addr . inet_proto . inet_service; flags timeout; timeout 30s; size 9; "
      "limit rate 1/week burst 1 packets counter; }\n"
      "  chain out { type filter hook output priority 0;\n"
      "    ip saddr . meta l4proto . th dport @uses4 accept\n"
      "  }\n}\n"
      "add element inet knockgate open4 { 203.0.113.9 . tcp . 22 timeout 100ms }\n"
      "add element inet knockgate uses4 { 127.0.0.1 . udp . 9 }");
  REQUIRE(::system("ip link set lo up") == 0);
  REQUIRE(world.seen().size() == 1);
  const Batch another{{Change::Kind::put, key(GrantSet::open, "203.0.113.10", Protocol::tcp, 22),
                       Millis{30'000}, "ssh - hand 1 2"}};
  await([&] { return world.ours.commit(another, "knockgate").has_value(); }); // full until it is collected
  send_udp(9);
  const auto counted = [&] { return world.elements("uses4").at(0).traffic.packets; };
  await([&] { return counted() == 1; });
  CHECK(world.seen().empty());
  CHECK(world.after("flush set inet knockgate open4").removed == std::vector{another[0].key});
}

TEST_CASE("our own commits are no disturbance, neither by our socket nor by libnftables") {
  if (!enter_namespace()) return;
  World world;
  CHECK(world.ours.commit({{Change::Kind::remove, kSsh}}, "knockgate"));
  CHECK(load_ruleset("flush set inet knockgate net6\nflush chain inet knockgate gate"));
  CHECK(load_ruleset("delete table inet knockgate"));
  CHECK(world.seen().empty());
  nft(rules());
  CHECK(world.seen().size() == 1);
}

namespace {

/// The first process of a pid namespace. Returns 0, or which step went wrong.
int first_process() {
  auto watch = TableWatch::open("knockgate");
  auto ours = Nftables::open();
  if (::getpid() != 1 || !watch || !ours || !load_ruleset(rules() + kAddBoth)) return 2;
  if (!watch->drain(ours->port_id()).empty()) return 3; // that was nft, before any commit of `ours`
  if (!ours->commit({{Change::Kind::remove, kSsh}}, "knockgate")) return 4;
  if (!load_ruleset("flush set inet knockgate net6")) return 5;
  if (!watch->drain(ours->port_id()).empty()) return 6;
  nft("flush chain inet knockgate gate");
  return watch->drain(ours->port_id()).size() == 1 ? 0 : 7;
}

template<class Child>
int status_of(Child&& child) {
  const auto pid = ::fork();
  if (pid == 0) ::_exit(child());
  int status = -1;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace

TEST_CASE("in a pid namespace we learn what the kernel calls us") {
  if (!enter_namespace()) return;
  // In a child: who made a pid namespace can fork no more once its first process has ended.
  const auto result = status_of([] { return ::unshare(CLONE_NEWPID) != 0 ? 77 : status_of(first_process); });
  if (result == 77)
    MESSAGE("skipped: no pid namespace");
  else
    CHECK(result == 0);
}

TEST_CASE("lost messages are told, and what comes after them is judged right") {
  if (!enter_namespace()) return;
  World world;
  Batch flood;
  for (std::uint16_t port = 1; port <= 60'000; ++port)
    flood.push_back({Change::Kind::put, key(GrantSet::open, "203.0.113.66", Protocol::udp, port),
                     Millis{600'000}, std::string(100, 'c')});
  REQUIRE(world.ours.commit(flood, "knockgate"));
  const auto overrun_only = [&] {
    const auto found = world.seen();
    return found.size() == 1 && found[0].overran && !found[0].broken && found[0].removed.empty();
  };
  CHECK(overrun_only());
  CHECK(world.seen().empty());
  nft("flush set inet knockgate open4"); // its beginning arrives, its end does not
  CHECK(overrun_only());
  CHECK(world.after("delete element inet knockgate net6 { 2001:db8:: . udp . 53 }").removed ==
        std::vector{kDns});
}

TEST_CASE("in embed mode only what is ours in the admin's table counts") {
  if (!enter_namespace()) return;
  nft("table inet fw {\n"
      "  set open4 { type ipv4_addr . inet_proto . inet_service; flags timeout; timeout 30s; counter; }\n"
      "  set flood4 { type ipv4_addr; }\n"
      "  chain knockgate_grants { accept\n }\n"
      "  chain input { tcp dport 80 accept\n }\n}\n");
  auto watch = *TableWatch::open("fw", Mode::embed);
  const auto ours = *Nftables::open();
  nft("delete set inet fw flood4");
  CHECK(watch.drain(ours.port_id()).empty());
  for (const auto* text : {"flush chain inet fw knockgate_grants", "flush chain inet fw input",
                           "add rule inet fw input jump knockgate_grants"}) {
    nft(text); // the admin alone can put it right
    const auto found = watch.drain(ours.port_id());
    CHECK(found.at(0).changed);
    CHECK_FALSE(found[0].broken);
  }
  nft("delete set inet fw open4");
  CHECK(watch.drain(ours.port_id()).at(0).broken);
  nft("add set inet fw open4 { type ipv4_addr . inet_proto . inet_service; flags timeout; }");
  CHECK(watch.drain(ours.port_id()).at(0).set_made);
}
