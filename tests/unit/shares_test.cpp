// SPDX-License-Identifier: GPL-2.0-or-later
// What a door may have open, and what it gives up for one more.
#include <knock/ledger.hpp>

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <random>

using namespace knock;
using namespace std::chrono_literals;

namespace {

const Port kVpn{Protocol::udp, 4500};
const Port kSsh{Protocol::tcp, 22};
const Instant kStart{1000s};

Address address(unsigned last) {
  return *parse_address("198.51.100." + std::to_string(last));
}

GrantRequest request(unsigned last, std::string door = "guest", std::uint32_t share = 3) {
  GrantRequest asked;
  asked.door = std::move(door);
  asked.source = address(last);
  asked.ports = {kVpn};
  asked.open_for = 1h;
  asked.max = 2h;
  asked.share = share;
  return asked;
}

Plan open(Ledger& ledger, const std::vector<GrantRequest>& requests, Instant now = kStart) {
  const auto spare = ledger.spare(requests);
  auto plan = plan_open(ledger, requests, now, spare);
  ledger.accept(plan);
  return plan;
}

void use(Ledger& ledger, unsigned last, GrantSet set = GrantSet::open) {
  ledger.note(std::vector<Element>{{{address(last), kVpn, set}, 1s, "", {1, 60}, {}}});
}

/// Like "close 1 share, open 4": what a plan does, by the last number of the source.
std::string told(const Plan& plan) {
  constexpr std::array kVerbs{"open", "extend", "close", "expire", "refused"};
  std::string text;
  for (const auto& event : plan.events) {
    const auto source = to_string(event.grant.source);
    if (!text.empty()) text += ", ";
    text += kVerbs.at(static_cast<std::size_t>(event.verb));
    text += " " + source.substr(source.rfind('.') + 1);
    if (!event.reason.empty()) text += " " + event.reason;
  }
  return text;
}

} // namespace

TEST_CASE("at its limit a door gives up its own oldest grant that nobody has used, in the same batch") {
  Ledger ledger({});
  for (unsigned i = 1; i <= 3; ++i) open(ledger, {request(i)}, kStart + i * 1s);
  const auto plan = open(ledger, {request(4)}, kStart + 4s);
  CHECK(told(plan) == "close 1 share, open 4");
  REQUIRE(plan.batch.size() == 2);
  CHECK(plan.batch[0] == Change{Change::Kind::remove, {address(1), kVpn}});
  CHECK(plan.batch[1].key == GrantKey{address(4), kVpn});
  CHECK(ledger.grants().size() == 3);
  CHECK(told(open(ledger, {request(5)}, kStart + 5s)) == "close 2 share, open 5");
}

TEST_CASE("a grant that let a packet through stays, whoever knocks; without another the door refuses") {
  Ledger ledger({});
  for (unsigned i = 1; i <= 3; ++i) open(ledger, {request(i)}, kStart + i * 1s);
  use(ledger, 1);
  CHECK(told(open(ledger, {request(4)}, kStart + 4s)) == "close 2 share, open 4");
  use(ledger, 3);
  use(ledger, 4);
  CHECK(told(open(ledger, {request(5)}, kStart + 5s)) == "refused 5 door_grants");
  CHECK(told(open(ledger, {request(3)}, kStart + 5s)) == "extend 3");
}

TEST_CASE("what was only found used between spare and plan stays, and is passed over from then on") {
  Ledger ledger({});
  for (unsigned i = 1; i <= 3; ++i) open(ledger, {request(i)}, kStart + i * 1s);
  const std::vector asked{request(4)};
  const auto spare = ledger.spare(asked);
  CHECK(spare == std::vector<std::uint64_t>{1});
  use(ledger, 1); // the counter was looked at
  CHECK(told(plan_open(ledger, asked, kStart + 4s, spare)) == "refused 4 door_grants");
  CHECK(ledger.spare(asked) == std::vector<std::uint64_t>{2});
  CHECK(ledger.spare(asked, 64) == std::vector<std::uint64_t>{2, 3});
  CHECK(told(plan_open(ledger, asked, kStart + 4s)) == "refused 4 door_grants"); // nothing was looked at
}

TEST_CASE("a connection that is known counts as use, also before a counter is read") {
  Ledger ledger({});
  auto asked = request(1);
  asked.terms.close = Close::on_disconnect;
  open(ledger, {asked});
  ledger.accept(plan_flows(ledger, ledger.flow_begun(address(1), kVpn, false, kStart + 1s), kStart + 1s));
  open(ledger, {request(2), request(3)}, kStart + 1s);
  CHECK(told(open(ledger, {request(4)}, kStart + 2s)) == "close 2 share, open 4");
}

TEST_CASE("grants by hand, of a name, of a session and of other doors are never given up for one") {
  Ledger ledger({});
  auto hand = request(1);
  hand.via = Via::hand;
  auto named = request(2);
  named.by = "alice/phone";
  auto signed_in = request(3);
  signed_in.via = Via::kn1;
  open(ledger, {hand, named, signed_in, request(4, "ssh")});
  CHECK(told(open(ledger, {request(5)}, kStart + 1s)) == "refused 5 door_grants");
  auto by_hand = request(6);
  by_hand.via = Via::hand;
  CHECK(told(open(ledger, {by_hand}, kStart + 1s)) == "refused 6 door_grants");
}

TEST_CASE("a grant by hand takes the place of a stranger's") {
  Ledger ledger({});
  open(ledger, {request(1), request(2), request(3)});
  auto hand = request(4);
  hand.via = Via::hand;
  const auto plan = open(ledger, {hand}, kStart + 1s);
  CHECK(told(plan) == "close 1 share, open 4");
  CHECK(plan.events.back().grant.via == Via::hand);
}

TEST_CASE("a full door refuses nobody at another one") {
  Ledger ledger({.grants = 8, .per_source = 16});
  for (unsigned i = 1; i <= 50; ++i) open(ledger, {request(i)}, kStart + i * 1s);
  for (unsigned i = 1; i <= 3; ++i)
    CHECK(told(open(ledger, {request(i, "ssh")}, kStart + 60s)) == "open " + std::to_string(i));
  CHECK(ledger.grants().size() == 6);
}

TEST_CASE("in one wake-up: what a full door gives up is not counted against another door") {
  Ledger ledger({.grants = 4, .per_source = 16});
  open(ledger, {request(1), request(2), request(3)});
  CHECK(told(open(ledger, {request(4), request(9, "ssh")}, kStart + 1s)) == "close 1 share, open 4, open 9");
}

TEST_CASE("when all doors together are full, each gives up its own before it refuses") {
  Ledger ledger({.grants = 4, .per_source = 16});
  open(ledger, {request(1), request(2), request(3), request(9, "ssh")});
  CHECK(told(open(ledger, {request(10, "ssh")}, kStart + 1s)) == "close 9 share, open 10");
  use(ledger, 10);
  CHECK(told(open(ledger, {request(11, "ssh")}, kStart + 2s)) == "refused 11 grants");
  CHECK(ledger.grants().size() == 4);
}

TEST_CASE("sessions are never refused and count to no limit") {
  Ledger ledger({.grants = 3, .per_source = 1});
  std::vector<GrantRequest> sessions;
  for (unsigned i = 1; i <= 9; ++i) {
    sessions.push_back(request(i));
    sessions.back().via = Via::session;
  }
  CHECK(open(ledger, sessions).after.size() == 9);
  CHECK(told(open(ledger, {request(1), request(2), request(3)}, kStart + 1s)) == "open 1, open 2, open 3");
  CHECK(told(open(ledger, {request(4)}, kStart + 2s)) == "close 1 share, open 4");
}

TEST_CASE("in one wake-up: none is given up twice, and who knocks again there keeps what it has") {
  Ledger ledger({});
  open(ledger, {request(1), request(2), request(3)});
  const auto plan = open(ledger, {request(1), request(4), request(5), request(6)}, kStart + 1s);
  CHECK(told(plan) == "extend 1, close 2 share, open 4, close 3 share, open 5, refused 6 door_grants");
  CHECK(plan.batch.size() == 5);
  CHECK(ledger.grants().size() == 3);
}

TEST_CASE("in one wake-up: what was given up and is knocked for again is put, not removed") {
  Ledger ledger({});
  open(ledger, {request(1), request(2), request(3)});
  const auto plan = open(ledger, {request(4), request(1)}, kStart + 1s);
  CHECK(told(plan) == "close 1 share, open 4, close 2 share, open 1");
  REQUIRE(plan.batch.size() == 3);
  CHECK(plan.batch[0].key.source == address(1));
  CHECK(plan.batch[0].kind == Change::Kind::put);
  CHECK(plan.batch[2].kind == Change::Kind::remove);
  CHECK(ledger.grants().size() == 3);
}

TEST_CASE("an element that a grant of another door holds too stays, with its end and its name") {
  Ledger ledger({});
  open(ledger, {request(1), request(2), request(3)});
  auto other = request(1, "vpn");
  other.open_for = 10s;
  open(ledger, {other});
  const auto plan = open(ledger, {request(4)}, kStart + 1s);
  CHECK(told(plan) == "close 1 share, open 4");
  REQUIRE(plan.batch.size() == 2);
  CHECK(plan.batch[0].kind == Change::Kind::put);
  CHECK(plan.batch[0].timeout == 9s);
  CHECK(plan.batch[0].comment.starts_with("vpn "));
}

TEST_CASE("a door of many ports takes at most half of a set's places") {
  Ledger ledger({.grants = 64, .per_source = 16});
  std::vector<Port> ports;
  for (std::uint16_t i = 0; i < 16; ++i)
    ports.push_back({Protocol::udp, static_cast<std::uint16_t>(6000 + i)});
  for (unsigned i = 1; i <= 6; ++i) {
    auto asked = request(i, "wide", 64);
    asked.ports = ports;
    const auto plan = open(ledger, {asked}, kStart + i * 1s);
    CHECK(told(plan) == (i <= 4 ? "open " + std::to_string(i)
                                : "close " + std::to_string(i - 4) + " share, open " + std::to_string(i)));
  }
}

TEST_CASE("what a start finds in the kernel counts to its door, and is given up by when it opened") {
  Ledger before({});
  for (unsigned i = 1; i <= 3; ++i) open(before, {request(4 - i)}, kStart + i * 1s);
  std::vector<Element> elements;
  for (const auto& change : all_open(before, kStart + 9s))
    elements.push_back({change.key, change.timeout, change.comment, {}, {}});
  elements.back().traffic = {5, 300}; // of address 3, the oldest
  Ledger after({});
  after.adopt(
      elements, [](std::string_view) { return Terms{}; }, kStart + 9s);
  CHECK(told(open(after, {request(4)}, kStart + 10s)) == "close 2 share, open 4");
}

TEST_CASE("random knocks, uses and ends at three doors: no limit is passed, no used grant given up") {
  std::mt19937 engine(7);
  const auto random = [&] { return static_cast<unsigned>(engine()); };
  Ledger ledger({.grants = 20, .per_source = 4});
  std::map<GrantKey, Instant> kernel;
  Instant now = kStart;
  int given_up = 0;
  for (int round = 0; round < 20'000; ++round) {
    now += Millis{random() % 400};
    (void)ledger.expire(now);
    std::erase_if(kernel, [&](const auto& element) { return element.second <= now; });
    std::vector<GrantRequest> requests;
    for (unsigned i = 0; i <= random() % 5; ++i) {
      requests.push_back(request(random() % 40, std::string(1, static_cast<char>('a' + random() % 3)), 8));
      if (random() % 4 == 0) requests.back().ports = {kSsh, kVpn};
      requests.back().open_for = Millis{1000 + random() % 60'000};
      if (random() % 20 == 0) requests.back().via = Via::hand;
    }
    if (const auto last = random() % 40;
        ledger.elements().contains({address(last), kVpn}) && random() % 8 == 0)
      use(ledger, last);
    const auto plan = open(ledger, requests, now);
    for (const auto& event : plan.events) {
      if (event.verb != LedgerEvent::Verb::close) continue;
      ++given_up;
      REQUIRE(event.grant.via == Via::knock);
    }
    for (const auto& change : plan.batch) {
      if (change.kind == Change::Kind::put)
        kernel[change.key] = now + change.timeout;
      else
        REQUIRE(kernel.erase(change.key) == 1);
    }
    std::map<GrantKey, Instant> model;
    std::map<std::string, int> doors;
    for (const auto& [id, grant] : ledger.grants()) {
      ++doors[grant.door];
      for (Port port : grant.ports)
        model[{grant.source, port}] = std::max(model[{grant.source, port}], grant.ends);
    }
    REQUIRE(model == kernel);
    REQUIRE(ledger.grants().size() <= 20);
    for (const auto& [door, count] : doors) REQUIRE(count <= 8);
  }
  CHECK(given_up > 1000);
}

TEST_CASE("of ranges so many live at once, and half of these of one door") {
  Ledger ledger({});
  const auto wide = [](unsigned last, const char* door) {
    auto asked = request(last, door, 1'000);
    asked.via = Via::hand; // none is given up
    for (std::uint16_t i = 0; i < 32; ++i) {
      const auto first = static_cast<std::uint16_t>(1'000 + 200 * i),
                 end = static_cast<std::uint16_t>(first + 99);
      asked.ranges.push_back({{Protocol::udp, first}, {Protocol::udp, end}});
    }
    return asked;
  };
  for (unsigned last = 1; last <= 4; ++last) CHECK(told(open(ledger, {wide(last, "a")})).starts_with("open"));
  CHECK(told(open(ledger, {wide(5, "a")})) == "refused 5 door_grants");
  for (unsigned last = 6; last <= 9; ++last) CHECK(told(open(ledger, {wide(last, "b")})).starts_with("open"));
  CHECK(told(open(ledger, {wide(10, "c")})) == "refused 10 ranges");
  CHECK(told(open(ledger, {request(11, "d")})) == "open 11");
}
