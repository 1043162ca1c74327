// SPDX-License-Identifier: GPL-2.0-or-later
// What ends grants besides their time, and the sets they stand in.
#include <knock/heal_pace.hpp>
#include <knock/ledger.hpp>

#include <doctest/doctest.h>

#include "core/keeper/flows.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

const Port kSsh{Protocol::tcp, 22};
const Port kWeb{Protocol::tcp, 8443};
const Instant kStart{1000s};
const Address kClient = *parse_address("203.0.113.9");
const Address kNeighbour = *parse_address("203.0.113.77");

GrantRequest request(std::vector<Port> ports = {kSsh}) {
  GrantRequest asked;
  asked.door = "ssh";
  asked.source = kClient;
  asked.ports = std::move(ports);
  asked.open_for = 30s;
  asked.max = 1h;
  return asked;
}

GrantRequest disconnecting(Millis linger = 10s) {
  auto asked = request();
  asked.terms = {Close::on_disconnect, {}, linger, false};
  return asked;
}

GrantRequest idling() {
  auto asked = request();
  asked.open_for = 9s;
  asked.terms = {Close::on_idle, 9s, {}, false};
  return asked;
}

Plan open(Ledger& ledger, const GrantRequest& asked, Instant now = kStart) {
  auto plan = plan_open(ledger, {&asked, 1}, now);
  ledger.accept(plan);
  return plan;
}

Plan accepted(Ledger& ledger, Plan plan) {
  ledger.accept(plan);
  return plan;
}

Plan begun(Ledger& ledger, const Address& source, Port port, Instant now) {
  return plan_flows(ledger, ledger.flow_begun(source, port, false, now), now);
}

Plan ended(Ledger& ledger, const Address& source, Port port, Instant now) {
  return plan_flows(ledger, ledger.flow_ended(source, port, now), now);
}

void count(Ledger& ledger, std::uint64_t packets, GrantSet set = GrantSet::open) {
  ledger.note(std::vector<Element>{{{kClient, kSsh, set}, 1s, "", {packets, 60 * packets}, {}}});
}

std::vector<GrantKey> sessions(const Ledger& ledger) {
  return keys_of(ledger, ledger.book().find_all(ledger.book().sessions()));
}

std::vector<std::uint64_t> used_up(Ledger& ledger, Instant now) {
  std::vector<std::uint64_t> ids;
  for (const auto* grant : ledger.used_up(now)) ids.push_back(grant->id);
  return ids;
}

std::vector<GrantKey> ending(const Ledger& ledger, Instant from, Instant until) {
  return counted_keys(ledger.book().ending(from, until));
}

const OpenGrant& only(const Ledger& ledger) {
  REQUIRE(ledger.grants().size() == 1);
  return ledger.grants().begin()->second;
}

} // namespace

TEST_CASE("a plan that the kernel refused leaves no trace") {
  Ledger ledger{{}};
  open(ledger, request());
  const auto grants = ledger.grants();
  const auto batch = all_open(ledger, kStart + 1s);
  auto longer = request();
  longer.open_for = 60s;
  longer.ports.push_back({Protocol::udp, 5353});
  const auto extended = ledger.accept(plan_open(ledger, {&longer, 1}, kStart + 1s));
  const auto closed = ledger.accept(plan_close(ledger, {}, "hand", kStart + 1s));
  CHECK(ledger.grants().empty());
  ledger.revert(closed);
  ledger.revert(extended);
  CHECK(ledger.grants() == grants);
  CHECK(all_open(ledger, kStart + 1s) == batch);
  CHECK(ledger.book().next_end() == kStart + 30s);
}

TEST_CASE("a prefix grant is one element of the prefix, and another neighbour's knock extends it") {
  Ledger ledger({});
  auto asked = request();
  asked.prefix = 24;
  auto plan = open(ledger, asked);
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].key == GrantKey{*parse_address("203.0.113.0"), kSsh, GrantSet::net});
  CHECK(source_text(only(ledger)) == "203.0.113.0/24");
  asked.source = kNeighbour;
  plan = open(ledger, asked, kStart + 10s);
  CHECK(plan.events.at(0).verb == LedgerEvent::Verb::extend);
  CHECK(lets_in(only(ledger), kNeighbour));
  CHECK_FALSE(lets_in(only(ledger), *parse_address("203.0.114.1")));
  plan = accepted(ledger, plan_close(ledger, {.source = kClient}, "hand", kStart + 11s));
  CHECK(plan.closed.size() == 1); // whoever is let in by it
  asked.source = *parse_address("2001:db8:9::9");
  asked.prefix = 64;
  plan = open(ledger, asked);
  CHECK(plan.batch.at(0).key == GrantKey{*parse_address("2001:db8:9::"), kSsh, GrantSet::net});
}

TEST_CASE("the limit of a source counts a whole IPv6 /64") {
  Ledger ledger({.grants = 100, .per_source = 2});
  auto asked = request();
  for (const char* source : {"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"}) {
    asked.source = *parse_address(source);
    const auto plan = open(ledger, asked);
    const bool third = asked.source == *parse_address("2001:db8::3");
    CHECK((plan.events.at(0).verb == LedgerEvent::Verb::refused) == third);
  }
}

TEST_CASE("a forward's map element outlives the element that opens its port, and closes behind it") {
  Ledger ledger({});
  const Target target{*parse_address("192.0.2.20"), 443};
  auto asked = request({kWeb});
  asked.leads = {{kWeb, target}};
  auto plan = open(ledger, asked);
  REQUIRE(plan.batch.size() == 2);
  CHECK(plan.batch[0].key.set == GrantSet::open);
  CHECK(plan.batch[0].timeout == 30s);
  CHECK(plan.batch[1].key == GrantKey{kClient, kWeb, GrantSet::forward});
  CHECK(plan.batch[1].timeout == 31s);
  CHECK(plan.batch[1].target == target);

  asked.leads[0].target.port = 444; // a reload meanwhile
  plan = open(ledger, asked, kStart + 1s);
  CHECK(plan.batch[1].held == target);
  CHECK(plan.batch[1].target.port == 444);

  plan = accepted(ledger, plan_close(ledger, {}, "hand", kStart + 2s));
  REQUIRE(plan.batch.size() == 2);
  CHECK(plan.batch[0].kind == Change::Kind::remove);
  CHECK(plan.batch[1].kind == Change::Kind::put);
  CHECK(plan.batch[1].timeout == kForwardOutlives);
  CHECK(plan.batch[1].target.port == 444);
  CHECK_FALSE(ledger.elements().contains(plan.batch[1].key)); // nobody's any more
}

TEST_CASE(
    "uses: what the kernel counted is spent, and the last closes when its packet needs no way in any more") {
  Ledger ledger({});
  auto asked = request();
  asked.uses = 2;
  auto plan = open(ledger, asked);
  CHECK(plan.batch.at(0).key.set == GrantSet::uses);
  CHECK(plan.batch.at(0).uses == 2);
  CHECK(plan.batch.at(0).comment == "ssh - knock 1000 4600 2");
  CHECK_FALSE(ledger.book().watching().empty());
  CHECK(watches(ledger.book(), kClient, kSsh));
  CHECK_FALSE(watches(ledger.book(), kNeighbour, kSsh));
  CHECK_FALSE(watches(ledger.book(), kClient, kWeb));
  const GrantKey key{kClient, kSsh, GrantSet::uses};
  CHECK(counted_uses(ledger, kClient, kSsh) == std::vector{key});

  CHECK(begun(ledger, kClient, kSsh, kStart + 1s).empty()); // nothing is put back
  CHECK(only(ledger).uses_left == 2);
  count(ledger, 1, GrantSet::uses);
  count(ledger, 1, GrantSet::uses); // seen before
  CHECK(only(ledger).uses_left == 1);
  CHECK(traffic(ledger.elements(), only(ledger)) ==
        Traffic{}); // first packets alone: no measure of what it received

  auto by_hand = request();
  by_hand.via = Via::hand;
  open(ledger, by_hand, kStart + 2s);
  CHECK(counted_uses(ledger, kClient, kSsh).empty()); // let in by hand: the `uses` set was not asked
  accepted(ledger, plan_close(ledger, {.id = 2}, "hand", kStart + 4s));

  CHECK(used_up(ledger, kStart + 4s).empty());
  count(ledger, 2, GrantSet::uses);
  CHECK(used_up(ledger, kStart + 5s).empty());
  CHECK(ledger.book().next_close() == kStart + 5s + kSentAgain);
  CHECK(all_open(ledger, kStart + 5s).empty()); // a table that is made anew does not get it back
  CHECK(used_up(ledger, kStart + 5s + kSentAgain) == std::vector<std::uint64_t>{1});
  plan = accepted(ledger, plan_close(ledger, {.id = 1}, "uses", kStart + 15s));
  CHECK(plan.batch.at(0) == Change{Change::Kind::remove, key});
  CHECK(ledger.grants().empty());
  CHECK(ledger.book().watching().empty());
}

TEST_CASE("a grant that is used up closes as soon as all its connections are answered") {
  Ledger ledger({});
  Flows flows;
  std::vector<FlowNews> news;
  const auto hear = [&](FlowEvent::Kind kind, const Flow& flow) {
    flows.hear(
        {kind, flow}, [](const Address&, Port) { return true; }, news);
  };
  auto asked = request();
  asked.uses = 2;
  open(ledger, asked);
  const Flow first{kClient, 51'514, kNeighbour, kSsh}, second{kClient, 51'515, kNeighbour, kSsh};
  for (std::uint64_t packets = 1; packets <= 2; ++packets) {
    count(ledger, packets, GrantSet::uses);
    CHECK(begun(ledger, kClient, kSsh, kStart + 1s).empty());
    hear(FlowEvent::Kind::begun, packets == 1 ? first : second);
  }
  CHECK(used_up(ledger, kStart + 1s).empty());
  hear(FlowEvent::Kind::answered, first);
  CHECK(flows.awaits(kClient, kSsh));
  CHECK(used_up(ledger, kStart + 2s).empty()); // one of two
  hear(FlowEvent::Kind::answered, second);
  CHECK_FALSE(flows.awaits(kClient, kSsh));
  ledger.flows_answered(kClient, kSsh, kStart + 3s);
  CHECK(used_up(ledger, kStart + 3s) == std::vector<std::uint64_t>{1});
}

TEST_CASE("uses of several ports are spent together, and the last closes at once") {
  Ledger ledger({});
  auto asked = request({kSsh, kWeb});
  asked.uses = 2;
  CHECK(open(ledger, asked).batch.size() == 2);
  count(ledger, 1, GrantSet::uses);
  ledger.spend({kClient, kWeb, GrantSet::uses}, 1); // its element is gone: events alone tell
  CHECK(used_up(ledger, kStart + 1s) == std::vector<std::uint64_t>{1});
}

TEST_CASE("a knock gives all uses again, also in a grant that is used up") {
  Ledger ledger({});
  auto asked = request();
  asked.uses = 3;
  open(ledger, asked);
  count(ledger, 1, GrantSet::uses);
  auto plan = open(ledger, asked, kStart + 2s);
  CHECK(only(ledger).uses_left == 3);
  CHECK(plan.batch.at(0).uses == 3);
  count(ledger, 3, GrantSet::uses); // the new element counts from 0
  CHECK(only(ledger).uses_left == 0);
  CHECK(used_up(ledger, kStart + 3s).empty());
  open(ledger, asked, kStart + 4s);
  CHECK(used_up(ledger, kStart + 60s).empty());
}

TEST_CASE("an element of two uses grants lets in what both have left, and an end takes its own alone") {
  Ledger ledger({});
  auto knocked = request();
  knocked.uses = 1;
  open(ledger, knocked);
  auto by_hand = knocked;
  by_hand.via = Via::hand;
  by_hand.uses = 2;
  by_hand.open_for = 1min;
  auto plan = open(ledger, by_hand);
  CHECK(plan.batch.at(0).uses == 3);
  CHECK(plan.batch.at(0).comment == "ssh - hand 1000 4600 3");
  count(ledger, 2, GrantSet::uses); // the one that ends first pays first
  CHECK(ledger.grants().at(1).uses_left == 0);
  CHECK(ledger.grants().at(2).uses_left == 1);
  plan = plan_close(ledger, {.id = 1}, "uses", kStart + 20s);
  CHECK(plan.batch.at(0).kind == Change::Kind::put);
  CHECK(plan.batch.at(0).uses == 1);
  CHECK(plan_close(ledger, {.id = 2}, "hand", kStart + 20s).batch.at(0).kind == Change::Kind::remove);
}

TEST_CASE("uses that a grant leaves when its time is over are taken out of the element it shared") {
  Ledger ledger({});
  auto brief = request();
  brief.uses = 2;
  open(ledger, brief);
  auto by_hand = brief;
  by_hand.via = Via::hand;
  by_hand.uses = 3;
  by_hand.open_for = 1min;
  open(ledger, by_hand);
  count(ledger, 1, GrantSet::uses);
  CHECK(ledger.expire(kStart + 30s).size() == 1);
  const auto keys = ledger.outlived();
  CHECK(keys == std::set{GrantKey{kClient, kSsh, GrantSet::uses}});
  CHECK(ledger.outlived().empty());
  const auto plan = accepted(ledger, plan_anew(ledger, keys, kStart + 30s));
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].uses == 3);
  CHECK(plan.batch[0].timeout == 30s);
  count(ledger, 1, GrantSet::uses); // the new element counts from 0
  CHECK(only(ledger).uses_left == 2);
  CHECK(ledger.expire(kStart + 1min).size() == 1);
  CHECK(ledger.outlived().empty());
}

TEST_CASE(
    "a connection older than the guard is a grant of its own, counts to no limit, and opens nothing else") {
  Ledger ledger({.grants = 1, .per_source = 1});
  GrantRequest session;
  session.door = "ssh";
  session.source = kClient;
  session.ports = {kSsh};
  session.via = Via::session;
  session.open_for = session.max = 24h;
  for (const auto port : {std::uint16_t{51'514}, std::uint16_t{51'515}}) {
    session.source_port = port;
    const auto plan = open(ledger, session);
    REQUIRE(plan.batch.size() == 1);
    CHECK(plan.batch[0].key == GrantKey{kClient, kSsh, GrantSet::session, port});
    CHECK(plan.batch[0].comment == "ssh - session 1000 87400");
  }
  CHECK(ledger.grants().size() == 2);
  CHECK(open(ledger, request()).events.at(0).verb == LedgerEvent::Verb::open);
  CHECK_FALSE(watches(ledger.book(), kClient, kSsh));
  CHECK(ledger.book().watching().empty());
  const GrantKey first{kClient, kSsh, GrantSet::session, std::uint16_t{51'514}};
  CHECK(sessions(ledger).size() == 2);
  const auto plan = accepted(ledger, plan_close(ledger, {.key = first}, "disconnect", kStart + 1s));
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0] == Change{Change::Kind::remove, first});
  CHECK(sessions(ledger).size() == 1);

  Ledger after({});
  std::vector<Element> elements;
  for (const auto& change : all_open(ledger, kStart + 2s))
    elements.push_back({change.key, change.timeout, change.comment});
  after.adopt(
      elements, [](std::string_view) { return Terms{}; }, kStart + 2s);
  REQUIRE(sessions(after).size() == 1);
  CHECK(sessions(after)[0].source_port == 51'515);
  CHECK(all_open(after, kStart + 2s) == all_open(ledger, kStart + 2s));
}

TEST_CASE("on-disconnect: a time to arrive, a lease while a connection lives, linger behind the last") {
  Ledger ledger({});
  open(ledger, disconnecting());
  CHECK(only(ledger).ends == kStart + 30s);
  auto plan = accepted(ledger, begun(ledger, kClient, kSsh, kStart + 5s));
  CHECK(only(ledger).ends == kStart + 5s + kLease);
  CHECK_FALSE(ledger.book().connected().empty());
  CHECK(plan_leases(ledger, kStart + 6s).empty());
  accepted(ledger, plan_leases(ledger, kStart + 50s));
  CHECK(only(ledger).ends == kStart + 50s + kLease);
  accepted(ledger, begun(ledger, kClient, kSsh, kStart + 51s));
  CHECK(ended(ledger, kClient, kSsh, kStart + 52s).empty());
  plan = accepted(ledger, ended(ledger, kClient, kSsh, kStart + 60s));
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].timeout == 10s);
  CHECK(ledger.book().connected().empty());
  CHECK(ended(ledger, kClient, kSsh, kStart + 61s).empty()); // none of ours
  const auto events = ledger.expire(kStart + 70s);
  REQUIRE(events.size() == 1);
  CHECK(events[0].reason == "disconnect");
}

TEST_CASE("on-disconnect: linger runs from the end of the last connection, also when it is planned late") {
  Ledger ledger({});
  open(ledger, disconnecting());
  accepted(ledger, begun(ledger, kClient, kSsh, kStart + 5s));
  const auto ids = ledger.flow_ended(kClient, kSsh, kStart + 40s);
  CHECK(plan_flows(ledger, ids, kStart + 47s).batch.at(0).timeout == 3s);
  CHECK(plan_flows(ledger, ids, kStart + 55s).batch.at(0).timeout == 1ms);
  accepted(ledger, begun(ledger, kClient, kSsh, kStart + 41s));
  ledger.forget_flows(); // how the second ended is not known: from now on
  CHECK(plan_flows(ledger, ids, kStart + 60s).batch.at(0).timeout == 10s);
}

TEST_CASE("on-disconnect: a knock that nobody has used yet keeps its time to arrive") {
  Ledger ledger({});
  open(ledger, disconnecting());
  accepted(ledger, begun(ledger, kClient, kSsh, kStart + 1s));
  open(ledger, disconnecting(), kStart + 2s);
  accepted(ledger, ended(ledger, kClient, kSsh, kStart + 3s));
  CHECK(only(ledger).ends == kStart + 32s);
}

TEST_CASE("on-disconnect: never used is said, and without linger it closes at once; max caps the lease") {
  Ledger ledger({});
  open(ledger, disconnecting(0s));
  CHECK(ledger.expire(kStart + 30s).at(0).reason == "after");
  open(ledger, disconnecting(0s), kStart);
  accepted(ledger, begun(ledger, kClient, kSsh, kStart + 1s));
  accepted(ledger, ended(ledger, kClient, kSsh, kStart + 2s));
  CHECK(ledger.expire(kStart + 2s + 1ms).at(0).reason == "disconnect");
  auto capped = disconnecting();
  capped.max = 40s;
  open(ledger, capped);
  accepted(ledger, begun(ledger, kClient, kSsh, kStart + 1s));
  CHECK(only(ledger).ends == kStart + 40s);
  CHECK(plan_leases(ledger, kStart + 39s).empty());
  CHECK(ledger.expire(kStart + 40s).at(0).reason == "max");
}

TEST_CASE("on-disconnect: connections of a prefix's neighbours count") {
  Ledger ledger({});
  auto asked = disconnecting();
  asked.prefix = 24;
  open(ledger, asked);
  accepted(ledger, begun(ledger, kNeighbour, kSsh, kStart + 1s));
  accepted(ledger, begun(ledger, kClient, kSsh, kStart + 1s));
  CHECK(ended(ledger, kClient, kSsh, kStart + 2s).empty());
  CHECK_FALSE(ledger.book().connected().empty());
  accepted(ledger, ended(ledger, kNeighbour, kSsh, kStart + 3s));
  CHECK(only(ledger).ends == kStart + 13s);
}

TEST_CASE("on-idle: a counter that moved pushes the end on, one that did not lets it come") {
  Ledger ledger({});
  open(ledger, idling());
  CHECK(ledger.book().shortest_idle() == 9s);
  CHECK(plan_idle(ledger, kStart + 3s).empty());
  count(ledger, 5);
  CHECK(plan_idle(ledger, kStart + 1s).empty()); // more than two thirds left: looked at again in time
  auto plan = accepted(ledger, plan_idle(ledger, kStart + 3s));
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].timeout == 9s);
  CHECK(plan.batch[0].traffic == Traffic{5, 300});
  CHECK(plan_idle(ledger, kStart + 6s).empty());
  count(ledger, 6); // in the last moment
  accepted(ledger, plan_idle(ledger, kStart + 11900ms));
  CHECK(only(ledger).ends == kStart + 20900ms);
  const auto events = ledger.expire(kStart + 21s);
  REQUIRE(events.size() == 1);
  CHECK(events[0].reason == "idle");
  CHECK(events[0].traffic == Traffic{6, 360});
  CHECK_FALSE(ledger.book().shortest_idle());
}

TEST_CASE("what was counted goes along when an element is put anew, and to the line that says it closed") {
  Ledger ledger({});
  open(ledger, request());
  count(ledger, 7);
  CHECK(open(ledger, request(), kStart + 1s).batch.at(0).traffic == Traffic{7, 420});
  CHECK(all_open(ledger, kStart + 2s).at(0).traffic == Traffic{7, 420});
  CHECK(plan_close(ledger, {}, "hand", kStart + 3s).events.at(0).traffic == Traffic{7, 420});
}

TEST_CASE("keys of what ends soon are named once, and elements are forgotten with their last grant") {
  Ledger ledger({});
  open(ledger, request());
  CHECK(ending(ledger, kStart, kStart + 29s).empty());
  CHECK(ending(ledger, kStart + 29s, kStart + 30s) == std::vector{GrantKey{kClient, kSsh}});
  CHECK(ending(ledger, kStart + 30s, kStart + 31s).empty());
  CHECK(ledger.elements().contains({kClient, kSsh}));
  (void)ledger.expire(kStart + 30s);
  CHECK_FALSE(ledger.elements().contains({kClient, kSsh}));
}

TEST_CASE("a deleted element closes whoever holds it, and no one else") {
  Ledger ledger({});
  open(ledger, request());
  auto other = request({kWeb});
  other.door = "web";
  open(ledger, other);
  const auto plan =
      accepted(ledger, plan_close(ledger, {.key = GrantKey{kClient, kSsh}}, "foreign", kStart + 1s));
  CHECK(plan.closed.size() == 1);
  CHECK(only(ledger).door == "web");
}

TEST_CASE("after a crash prefix, uses, forwards and how a grant ends come back from elements and config") {
  Ledger before({});
  auto thrice = request();
  thrice.uses = 3;
  thrice.leads = {{kSsh, {*parse_address("192.0.2.21"), 2222}}};
  const auto uses = open(before, thrice).batch.at(0);
  auto web = request({kWeb});
  web.door = "web";
  web.leads = {{kWeb, {*parse_address("192.0.2.20"), 443}}};
  web.terms = {Close::on_disconnect, {}, 5s, true};
  open(before, web);
  auto net = request();
  net.door = "net";
  net.prefix = 24;
  open(before, net);
  std::vector<Element> elements;
  for (const auto& change : all_open(before, kStart + 1s))
    elements.push_back({change.key, change.timeout, change.comment, {9, 9}, change.target});
  const auto counted = std::find_if(elements.begin(), elements.end(),
                                    [](const Element& one) { return one.key.set == GrantSet::uses; });
  REQUIRE(counted->comment == uses.comment);
  counted->traffic = {1, 60}; // one of three connections

  Ledger after({});
  after.adopt(
      elements, [&](std::string_view door) { return door == "web" ? web.terms : Terms{}; }, kStart + 1s);
  REQUIRE(after.grants().size() == 3);
  for (const auto& [id, grant] : after.grants()) {
    CHECK(grant.adopted);
    CHECK(traffic(after.elements(), grant) == (grant.door == "ssh" ? Traffic{} : Traffic{9, 9}));
    if (grant.door == "ssh") {
      CHECK(grant.uses_left == 2);
      CHECK(grant.leads == thrice.leads);
    }
    if (grant.door == "net") CHECK(source_text(grant) == "203.0.113.0/24");
    if (grant.door == "web") {
      CHECK(grant.leads == web.leads);
      CHECK(grant.terms == web.terms);
    }
  }
  CHECK(all_open(after, kStart + 1s).size() == all_open(before, kStart + 1s).size());
}

TEST_CASE("a grant without a port keeps its end in one element, and is adopted with it") {
  Ledger before({});
  auto asked = request({kNoPort});
  asked.terms.says_close = true;
  CHECK(open(before, asked).batch.at(0).key.port == kNoPort);
  const auto held = all_open(before, kStart);
  Ledger after({});
  after.adopt(
      std::vector<Element>{{held[0].key, held[0].timeout, held[0].comment, {}, {}}},
      [](std::string_view) {
        return Terms{Close::after, {}, {}, true};
      },
      kStart);
  CHECK(only(after).terms.says_close);
  CHECK(only(after).ports == std::vector{kNoPort});
}

TEST_CASE("a forward that leads nobody is not taken over: another's like it, later, is a stray") {
  const GrantKey key{kClient, kWeb, GrantSet::forward};
  Ledger ledger({});
  ledger.adopt(
      std::vector<Element>{{key, 1s, "", {}, {}}}, [](std::string_view) { return Terms{}; }, kStart);
  CHECK(ledger.elements().empty());
  const Element again{key, 60s, "fwd - knock 1000 1060", {}, {}};
  const auto strays = look_for_strays(ledger, {&again, 1}, kStart + 5s);
  REQUIRE(strays.right.batch.size() == 1);
  CHECK(strays.right.batch[0].kind == Change::Kind::remove);
}

TEST_CASE(
    "a table is healed at once while it is calm; of two writers that fight ours waits, and never for long") {
  HealPace pace;
  Instant now = kStart;
  int times = 0;
  for (; times < 5; ++times, pace.take(now)) CHECK(pace.next(now) == (times == 0 ? now : kStart));
  CHECK(pace.next(now) == now + 1s);
  for (; times < 20; ++times, pace.take(now)) {
    now = pace.next(now);
    CHECK(pace.wait(now) == 1s);
  }
  CHECK(pace.next(now) == now + 5s);
  for (int i = 0; i < 100; ++i) {
    const auto next = pace.next(now);
    CHECK(next - now <= 5s);
    pace.take(now = next);
  }
  CHECK(pace.wait(now + 60s) == 0s);
  HealPace slow;
  for (int i = 0; i < 100; ++i) {
    CHECK(slow.next(kStart + i * 13s) <= kStart + i * 13s);
    slow.take(kStart + i * 13s);
  }
}

TEST_CASE("a shorter wait for a connection does not take back a longer one when an older connection ends") {
  Ledger ledger({});
  auto asked = disconnecting();
  asked.open_for = 2min;
  open(ledger, asked);
  accepted(ledger,
           plan_flows(ledger, ledger.flow_begun(kClient, kSsh, true, kStart), kStart)); // an older one
  asked.open_for = 15s;
  open(ledger, asked, kStart + 1s);
  accepted(ledger, ended(ledger, kClient, kSsh, kStart + 2s));
  CHECK(ledger.book().next_end() == kStart + 2min);
}
