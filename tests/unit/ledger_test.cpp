// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/ledger.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

using namespace knock;
using namespace std::chrono_literals;

namespace {

const Port kSsh{Protocol::tcp, 22};
const Port kWeb{Protocol::tcp, 443};
const Instant kStart{1000s};

Address address(std::string_view text) {
  return *parse_address(text);
}

GrantRequest request(std::string_view source, std::string door = "ssh", std::vector<Port> ports = {kSsh}) {
  GrantRequest asked;
  asked.door = std::move(door);
  asked.source = address(source);
  asked.ports = std::move(ports);
  asked.open_for = 30s;
  asked.max = 60s;
  return asked;
}

Terms no_terms(std::string_view) {
  return {};
}

Plan open(Ledger& ledger, const std::vector<GrantRequest>& requests, Instant now) {
  auto plan = plan_open(ledger, requests, now);
  ledger.accept(plan);
  return plan;
}

std::vector<Element> elements_of(const Batch& batch) {
  std::vector<Element> elements;
  for (const auto& change : batch) elements.push_back({change.key, change.timeout, change.comment, {}, {}});
  return elements;
}

} // namespace

TEST_CASE("a first knock opens: one put for each port, with the time left and a comment that says who") {
  Ledger ledger({});
  const auto plan = open(ledger, {request("203.0.113.9", "nas", {kSsh, kWeb})}, kStart);
  REQUIRE(plan.batch.size() == 2);
  CHECK(plan.batch[0] ==
        Change{Change::Kind::put, {address("203.0.113.9"), kSsh}, 30s, "nas - knock 1000 1060"});
  REQUIRE(plan.events.size() == 1);
  CHECK(plan.events[0].verb == LedgerEvent::Verb::open);
  CHECK(ledger.grants().size() == 1);
  CHECK(ledger.book().next_end() == kStart + 30s);
}

TEST_CASE("a plan that was not accepted changes nothing") {
  Ledger ledger({});
  (void)plan_open(ledger, std::vector{request("203.0.113.9")}, kStart);
  CHECK(ledger.grants().empty());
  CHECK_FALSE(ledger.book().next_end());
}

TEST_CASE("knocking again extends the same grant, up to its cap and never backwards") {
  Ledger ledger({});
  open(ledger, {request("203.0.113.9")}, kStart);
  auto plan = open(ledger, {request("203.0.113.9")}, kStart + 20s);
  CHECK(plan.events.at(0).verb == LedgerEvent::Verb::extend);
  CHECK(ledger.book().next_end() == kStart + 50s);
  open(ledger, {request("203.0.113.9")}, kStart + 45s);
  CHECK(ledger.book().next_end() == kStart + 60s); // max
  auto shorter = request("203.0.113.9");
  shorter.open_for = 1s;
  plan = open(ledger, {shorter}, kStart + 46s);
  CHECK(ledger.book().next_end() == kStart + 60s);
  CHECK(plan.batch.at(0).timeout == 14s);
}

TEST_CASE("two knocks of one source in one wake-up are one grant") {
  Ledger ledger({});
  const auto plan =
      open(ledger, {request("203.0.113.9"), request("203.0.113.9"), request("2001:db8::9")}, kStart);
  CHECK(ledger.grants().size() == 2);
  CHECK(plan.events[0].verb == LedgerEvent::Verb::open);
  CHECK(plan.events[1].verb == LedgerEvent::Verb::extend);
  CHECK(plan.events[2].verb == LedgerEvent::Verb::open);
}

TEST_CASE("two owners of one port: the element ends with the later, closing one does not cut the other") {
  Ledger ledger({});
  open(ledger, {request("203.0.113.9")}, kStart);
  auto by_hand = request("203.0.113.9");
  by_hand.via = Via::hand;
  by_hand.open_for = 10s;
  auto plan = open(ledger, {by_hand}, kStart);
  CHECK(ledger.grants().size() == 2);
  CHECK(plan.batch.at(0).timeout == 30s);
  CHECK(plan.batch.at(0).comment == "ssh - knock 1000 1060");

  plan = plan_close(ledger, {.id = 1}, "hand", kStart + 1s);
  ledger.accept(plan);
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].kind == Change::Kind::put);
  CHECK(plan.batch[0].timeout == 9s);
  CHECK(plan.batch[0].comment == "ssh - hand 1000 1060");

  plan = plan_close(ledger, {}, "hand", kStart + 2s);
  ledger.accept(plan);
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].kind == Change::Kind::remove);
  CHECK(ledger.grants().empty());
}

TEST_CASE("a close by source means its own grants, and that of the prefix around it") {
  Ledger ledger({});
  auto subnet = request("203.0.113.0", "net");
  subnet.prefix = 24;
  auto other_subnet = request("198.51.100.0", "net");
  other_subnet.prefix = 24;
  auto subnet6 = request("2001:db8::", "net");
  subnet6.prefix = 64;
  auto session = request("203.0.113.9", "ssh");
  session.via = Via::session;
  session.source_port = 40'000;
  open(ledger,
       {request("203.0.113.9"), request("203.0.113.9", "nas"), subnet, other_subnet, session,
        request("203.0.113.10"), request("203.0.113.0"), subnet6, request("2001:db8::9"),
        request("2001:db8::")},
       kStart);
  const auto ids = [&](const char* source, std::optional<std::string> door = {}) {
    std::set<std::uint64_t> found;
    for (const auto* grant : matching(ledger.book(), {.door = std::move(door), .source = address(source)}))
      found.insert(grant->id);
    return found;
  };
  using Ids = std::set<std::uint64_t>;
  CHECK(ids("203.0.113.9") == Ids{1, 2, 3, 5});
  CHECK(ids("203.0.113.9", "ssh") == Ids{1, 5});
  CHECK(ids("203.0.113.9", "net") == Ids{3});
  CHECK(ids("203.0.113.200") == Ids{3});
  CHECK(ids("203.0.113.0") == Ids{3, 7}); // a host like any other, not the whole prefix
  CHECK(ids("203.0.114.9") == Ids{});
  CHECK(ids("2001:db8::9") == Ids{8, 9});
  CHECK(ids("2001:db8::a", "net") == Ids{8});
  CHECK(ids("2001:db8::", "ssh") == Ids{10});
  CHECK(ids("2001:db8:0:1::9") == Ids{});
}

TEST_CASE("two doors that open one port in one wake-up are one change: the later end") {
  Ledger ledger({});
  auto longer = request("203.0.113.9", "nas");
  longer.open_for = 50s;
  const auto plan = open(ledger, {longer, request("203.0.113.9")}, kStart);
  CHECK(ledger.grants().size() == 2);
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].timeout == 50s);
  CHECK(plan.batch[0].comment == "nas - knock 1000 1060");
}

TEST_CASE("a full ledger and a greedy source are refused and counted, extending still works") {
  Ledger ledger({.grants = 3, .per_source = 2});
  open(ledger, {request("203.0.113.9", "a"), request("203.0.113.9", "b")}, kStart);
  auto plan = open(ledger, {request("203.0.113.9", "c"), request("203.0.113.9", "a")}, kStart);
  CHECK(plan.events.at(0).verb == LedgerEvent::Verb::refused);
  CHECK(plan.events.at(0).reason == "per_source");
  CHECK(plan.events.at(1).verb == LedgerEvent::Verb::extend);
  plan = open(ledger, {request("203.0.113.10"), request("203.0.113.11")}, kStart);
  CHECK(plan.events.at(0).verb == LedgerEvent::Verb::open);
  CHECK(plan.events.at(1).reason == "grants");
  CHECK(ledger.grants().size() == 3);
}

TEST_CASE("what ended is expired in order, with the reason") {
  Ledger ledger({});
  open(ledger, {request("203.0.113.9")}, kStart);
  open(ledger, {request("203.0.113.9")}, kStart + 29s);
  auto short_one = request("203.0.113.10");
  short_one.open_for = 5s;
  open(ledger, {short_one}, kStart);
  CHECK(ledger.expire(kStart + 5s - 1ns).empty());
  auto events = ledger.expire(kStart + 5s);
  REQUIRE(events.size() == 1);
  CHECK(events[0].reason == "after");
  open(ledger, {request("203.0.113.9")}, kStart + 50s);
  events = ledger.expire(kStart + 60s);
  REQUIRE(events.size() == 1);
  CHECK(events[0].reason == "max");
}

TEST_CASE("after a crash the kernel's elements come back as the grants they were") {
  Ledger before({});
  open(before, {request("203.0.113.9", "nas", {kSsh, kWeb}), request("2001:db8::9")}, kStart);
  const auto elements = elements_of(all_open(before, kStart + 10s));

  Ledger after({});
  after.adopt(elements, no_terms, kStart + 10s);
  REQUIRE(after.grants().size() == 2);
  for (const auto& entry_before : before.grants()) {
    const auto& old = entry_before.second;
    const auto same = std::find_if(after.grants().begin(), after.grants().end(),
                                   [&](const auto& entry) { return entry.second.source == old.source; });
    REQUIRE(same != after.grants().end());
    CHECK(same->second.door == old.door);
    CHECK(same->second.ports == old.ports);
    CHECK(same->second.opened == old.opened);
    CHECK(same->second.ends == old.ends);
    CHECK(same->second.cap == old.cap);
    CHECK(same->second.adopted);
  }
  const auto plan = open(after, {request("2001:db8::9")}, kStart + 11s);
  CHECK(plan.events.at(0).verb == LedgerEvent::Verb::extend);
}

TEST_CASE("a comment that is not ours is kept until its end as foreign") {
  for (const char* comment : {"", "made by hand", "ssh - knock 1 2 3", "ssh - knock x 2", "ssh - sesame 1 2",
                              "ssh  - knock 1 2", "ssh - knock -1 2", "ssh - knock 1 99999999999999999999"}) {
    CAPTURE(comment);
    Ledger ledger({});
    ledger.adopt(std::vector<Element>{{{address("203.0.113.9"), kSsh}, 5s, comment, {}, {}}}, no_terms,
                 kStart);
    REQUIRE(ledger.grants().size() == 1);
    CHECK(ledger.grants().begin()->second.via == Via::foreign);
    CHECK(ledger.book().next_end() == kStart + 5s);
  }
}

TEST_CASE("an element without an end is listed as foreign, put right where it is ours, and can be closed") {
  const auto endless = [](std::string_view source, std::string comment) {
    return Element{{address(source), kSsh}, Element::kEndless, std::move(comment), {}, {}};
  };
  Ledger ledger({});
  open(ledger, {request("203.0.113.9")}, kStart);
  const std::vector<Element> there{endless("203.0.113.9", "ssh - knock 1000 2000"),
                                   endless("198.51.100.7", "ssh - hand 1 99999999"),
                                   endless("198.51.100.8", "")};
  const auto found = look_for_strays(ledger, there, kStart);
  REQUIRE(found.right.batch.size() == 2);
  CHECK(found.right.batch[0].timeout == 30s);
  CHECK(found.right.batch[1] == Change{.kind = Change::Kind::remove, .key = there[1].key});
  (void)ledger.accept(found.right);
  REQUIRE(ledger.grants().size() == 2);
  const auto foreign = ledger.grants().rbegin()->second;
  CHECK(foreign.ends == kNever);
  CHECK(
      look_for_strays(ledger, std::vector{there[2]}, kStart + 1h).right.after.empty()); // not again and again
  CHECK(all_open(ledger, kStart).at(0).timeout == 24h * 30); // a table made anew: nothing without an end
  const auto closing = plan_close(ledger, {.door = "foreign"}, "hand", kStart);
  REQUIRE(closing.batch.size() == 1);
  CHECK(closing.batch[0].kind == Change::Kind::remove);

  Ledger after({});
  after.adopt(there, no_terms, kStart);
  CHECK(after.grants().size() == 3);
  CHECK(after.grants().at(1).ends == kNever);
}

TEST_CASE("what a file restored ends at its cap at the latest, and not at all behind it") {
  Ledger ledger({});
  const auto element = [](std::string_view source, std::string comment) {
    return Element{{address(source), kSsh}, 1h, std::move(comment), {}, {}};
  };
  ledger.adopt(std::vector<Element>{element("203.0.113.9", "ssh - knock 1 998"),
                                    element("203.0.113.10", "ssh - knock 1 1020")},
               no_terms, kStart);
  REQUIRE(ledger.grants().size() == 1);
  CHECK(ledger.book().next_end() == kStart + 21s); // a comment has whole seconds
  const auto strays = look_for_strays(ledger,
                                      std::vector<Element>{element("203.0.113.9", "ssh - knock 1 998"),
                                                           element("203.0.113.10", "ssh - knock 1 1020")},
                                      kStart);
  REQUIRE(strays.right.batch.size() == 2);
  CHECK(strays.right.batch[0].kind == Change::Kind::remove);
  CHECK(strays.right.batch[1].timeout == 21s);
}

TEST_CASE(
    "a whole look finds what is nobody's, what ends at another time, what is missing, and what is foreign") {
  Ledger ledger({});
  open(ledger, {request("203.0.113.9"), request("203.0.113.10"), request("203.0.113.11")}, kStart);
  auto there = elements_of(all_open(ledger, kStart));
  REQUIRE(there.size() == 3);
  CHECK(look_for_strays(ledger, there, kStart + 1s)
            .right.empty()); // the look and the commit are not one moment
  there[0].left += 10min;
  there.erase(there.begin() + 1);
  there.push_back({{address("198.51.100.7"), kSsh}, 5s, "ssh - hand 1 99999999", {}, {}});
  there.push_back({{address("198.51.100.8"), kSsh}, 5s, "by hand", {}, {}});
  const auto found = look_for_strays(ledger, there, kStart);
  REQUIRE(found.right.batch.size() == 2);
  CHECK(found.right.batch[0].key == there[0].key);
  CHECK(found.right.batch[0].timeout == there[0].left - 10min);
  CHECK(found.right.batch[1] == Change{.kind = Change::Kind::remove, .key = there[2].key});
  REQUIRE(found.right.after.size() == 1);
  CHECK(found.missing == std::vector{GrantKey{address("203.0.113.10"), kSsh}});
  (void)ledger.accept(found.right);
  CHECK(ledger.grants().rbegin()->second.via == Via::foreign);
  CHECK(look_for_strays(ledger, there, kStart).right.after.empty());
  there.back().left = 1h; // by another hand, again
  const auto moved = look_for_strays(ledger, there, kStart).right;
  REQUIRE(moved.after.size() == 1);
  (void)ledger.accept(moved);
  CHECK(ledger.grants().size() == 4);
  CHECK(ledger.grants().rbegin()->second.ends == kStart + 1h);
}

TEST_CASE("elements that are not ours have each its own end, also under one comment") {
  Ledger ledger({});
  ledger.adopt(std::vector<Element>{{{address("203.0.113.9"), kSsh}, 5s, "by hand", {}, {}},
                                    {{address("203.0.113.9"), kWeb}, 60s, "by hand", {}, {}}},
               no_terms, kStart);
  REQUIRE(ledger.grants().size() == 2);
  for (const auto& change : all_open(ledger, kStart))
    CHECK(change.timeout == (change.key.port == kSsh ? 5s : 60s));
}

TEST_CASE("a grant of uses that was used before a crash is used behind it") {
  for (const std::uint64_t packets : {0U, 1U}) {
    Ledger ledger({});
    ledger.adopt(std::vector<Element>{{{address("203.0.113.9"), kSsh, GrantSet::uses},
                                       5s,
                                       "ssh - knock 1000 2000 2",
                                       {packets, 60 * packets},
                                       {}}},
                 no_terms, kStart);
    REQUIRE(ledger.grants().size() == 1);
    CHECK(ledger.grants().begin()->second.used == (packets == 1));
  }
}

TEST_CASE("random opens, closes and expiries: the puts and removals add up to what the ledger says") {
  std::mt19937 random(1);
  Ledger ledger({.grants = 40, .per_source = 4});
  std::map<GrantKey, Instant> kernel;
  Instant now = kStart;
  for (int round = 0; round < 20'000; ++round) {
    now += Millis{random() % 4000};
    (void)ledger.expire(now);
    std::erase_if(kernel, [&](const auto& element) { return element.second <= now; });
    Plan plan;
    if (random() % 4 != 0) {
      std::vector<GrantRequest> requests;
      for (unsigned i = 0; i <= random() % 3; ++i) {
        auto asked = request(std::to_string(192) + ".0.2." + std::to_string(random() % 12),
                             random() % 2 != 0 ? "a" : "b",
                             random() % 2 != 0 ? std::vector{kSsh} : std::vector{kSsh, kWeb});
        asked.open_for = Millis{1000 + random() % 30'000};
        requests.push_back(asked);
      }
      plan = plan_open(ledger, requests, now);
    } else {
      plan = plan_close(ledger, {.door = random() % 2 != 0 ? "a" : "b"}, "hand", now);
    }
    ledger.accept(plan);
    for (const auto& change : plan.batch) {
      if (change.kind == Change::Kind::put)
        kernel[change.key] = now + change.timeout;
      else
        kernel.erase(change.key);
    }
    std::map<GrantKey, Instant> model;
    for (const auto& [id, grant] : ledger.grants())
      for (Port port : grant.ports)
        model[{grant.source, port}] = std::max(model[{grant.source, port}], grant.ends);
    REQUIRE(model == kernel);
  }
}

TEST_CASE("a wide range is one element; who restarts finds one grant with its ports and ranges") {
  Ledger ledger({});
  const PortRange mosh{{Protocol::udp, 60'000}, {Protocol::udp, 61'000}};
  auto asked = request("203.0.113.9", "mosh");
  asked.ranges = {mosh};
  const auto plan = open(ledger, {asked}, kStart);
  REQUIRE(plan.batch.size() == 2);
  CHECK(plan.batch[1].key == GrantKey{address("203.0.113.9"), mosh.first, GrantSet::range, 0, 61'000});
  CHECK(letting_in(ledger.book(), address("203.0.113.9"), {Protocol::udp, 60'500}).size() == 1);
  CHECK(letting_in(ledger.book(), address("203.0.113.9"), {Protocol::udp, 61'001}).empty());
  Ledger after({});
  after.adopt(elements_of(plan.batch), no_terms, kStart + 1s);
  REQUIRE(after.grants().size() == 1);
  CHECK(after.grants().begin()->second.ports == std::vector{kSsh});
  CHECK(after.grants().begin()->second.ranges == std::vector{mosh});
  const auto closed = plan_close(after, {}, "hand", kStart + 2s);
  REQUIRE(closed.batch.size() == 2);
  CHECK(closed.batch[1] == Change{Change::Kind::remove, plan.batch[1].key});
  auto foreign = elements_of(plan.batch);
  foreign[1].comment = "by hand";
  after.adopt(foreign, no_terms, kStart + 1s);
  CHECK(after.grants().size() == 2);
  CHECK(port_texts(after.grants().rbegin()->second).size() == 1);
}

TEST_CASE("what is put anew begins with the narrow ranges: the kernel takes a wide one over them, not the "
          "reverse") {
  Ledger ledger({});
  auto asked = request("203.0.113.9", "mosh");
  asked.ranges = {{{Protocol::udp, 60'000}, {Protocol::udp, 61'000}}};
  auto there = elements_of(open(ledger, {asked}, kStart).batch);
  auto narrow = there[1];
  narrow.key.port.number = 60'500;
  narrow.key.last = 60'510;
  narrow.comment = "by hand";
  there.push_back(narrow);
  Ledger after({});
  after.adopt(there, no_terms, kStart + 1s);
  const auto anew = all_open(after, kStart + 2s);
  REQUIRE(anew.size() == 3);
  CHECK(anew[1].key == narrow.key);
  CHECK(anew[2].key == there[1].key);
}

TEST_CASE("a comment says by which key a device opened, if there is room for it") {
  OpenGrant grant;
  grant.door = "ssh";
  grant.by = "alice/laptop";
  grant.via = Via::kn1;
  grant.opened = kStart;
  grant.cap = kStart + 60s;
  grant.key = tag_of({{0xde, 0xc5, 0xc8, 0x6d, 1, 2, 3, 4}});
  CHECK(comment_of(grant) == "ssh alice/laptop@dec5c8 kn1 1000 1060");
  const auto read = parse_comment(comment_of(grant));
  REQUIRE(read);
  CHECK(read->by == "alice/laptop");
  CHECK(read->key == "dec5c8");
  CHECK(parse_comment("ssh alice/laptop kn1 1000 1060")->key.empty()); // of a version before
  CHECK_FALSE(parse_comment("ssh alice/laptop@ kn1 1000 1060"));
  CHECK_FALSE(parse_comment("ssh @dec5c8 kn1 1000 1060"));
  grant.door = std::string(31, 'd');
  grant.by = std::string(31, 'u') + "/" + std::string(31, 'p');
  grant.set = GrantSet::uses;
  grant.uses_left = 1'000'000;
  CHECK(comment_of(grant).size() <= 128);
  CHECK(parse_comment(comment_of(grant))->by == grant.by);
}

TEST_CASE("a grant is of the key that extended it last, but for one before a rotation") {
  GrantRequest asked;
  asked.via = Via::kn1;
  asked.key = "aaaaaa";
  const auto opened = wished(asked, nullptr, kStart);
  CHECK(opened.key == "aaaaaa");
  asked.key = "bbbbbb";
  CHECK(wished(asked, &opened, kStart).key == "bbbbbb");
  asked.old_key = true;
  CHECK(wished(asked, &opened, kStart).key == "aaaaaa");
  CHECK(wished(asked, nullptr, kStart).key == "bbbbbb");
}
