// SPDX-License-Identifier: GPL-2.0-or-later
// What a connection or a counter does to a grant is ledger_ends_test's; here is when it is read, and what follows.
#include "core/keeper/ends.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

const auto kConfig = config_of(
    kSshDoor +
    door_text("idle", 7'200, "opens = [\"tcp/443\"]\nclose = \"on-idle\"\nidle = \"15s\"\nmax = \"1h\"") +
    door_text(
        "disc", 7'300,
        "opens = [\"tcp/25\"]\nclose = \"on-disconnect\"\nlinger = \"5s\"\nfor = \"15s\"\nmax = \"1h\"") +
    door_text("uses", 7'400, "opens = [\"tcp/993\"]\nuses = 2\nfor = \"60s\"\nmax = \"5m\""));
const Port kMail{Protocol::tcp, 25}, kImap{Protocol::tcp, 993};

Flow flow(Port port, std::uint16_t source_port = 50'000) {
  return {kClient, source_port, address("192.0.2.1"), port, source_port, 0};
}

/// The ends of one ledger, and a kernel that takes all.
struct Rounds {
  Ledger ledger{{}};
  Ends ends{};
  Instant now = kStart;
  bool listening = true;
  bool takes = true; ///< the kernel
  Ask ask{};
  Batch batch{};

  void open(std::string_view door) { (void)knock::open(ledger, request(*kConfig, door), now); }
  /// One round at `now`: hear, ask, see, plan, settle.
  void round(std::vector<FlowEvent> flows = {}, const Seen& seen = {}, bool overran = false) {
    Heard heard;
    heard.now = now;
    heard.flows = std::move(flows);
    heard.flows_overran = overran;
    (void)ledger.expire(now);
    ends.hear(ledger, heard);
    ask = {};
    ends.ask(ledger, listening, now, ask);
    ledger.note(seen.elements);
    Draft draft;
    ends.look(ledger, seen, now);
    ends.plan(ledger, seen, now, draft);
    batch = draft.batch();
    if (!takes) draft.revert(ledger);
    ends.settle(ledger, takes, now);
  }
  [[nodiscard]] bool asks(const GrantKey& key) const {
    return std::find(ask.elements.begin(), ask.elements.end(), key) != ask.elements.end();
  }
  [[nodiscard]] std::optional<Instant> next() const { return ends.next(ledger); }
};

Seen counted(const GrantKey& key, std::uint64_t packets) {
  Seen seen;
  seen.elements.push_back({key, 10s, "", {packets, packets * 60}, {}});
  return seen;
}

} // namespace

TEST_CASE("a counter is read once, 100 ms before its element ends: it goes with it") {
  Rounds rounds;
  rounds.open("ssh");
  rounds.round();
  CHECK(rounds.ask.elements.empty());
  CHECK(rounds.next() == kStart + 30s - 100ms);
  rounds.now = kStart + 30s - 100ms;
  rounds.round();
  CHECK(rounds.asks({kClient, kSsh}));
  rounds.round();
  CHECK(rounds.ask.elements.empty());
  CHECK(rounds.next() == kStart + 30s);
}

TEST_CASE("on-idle counters are read each third of the shortest idle time; no timer while none is open") {
  Rounds rounds;
  const GrantKey key{kClient, kWeb};
  rounds.round();
  CHECK_FALSE(rounds.next());
  rounds.open("idle");
  rounds.round();
  CHECK(rounds.asks(key));
  CHECK(rounds.next() == kStart + 5s);
  rounds.now = kStart + 4s;
  rounds.round();
  CHECK_FALSE(rounds.asks(key));
  rounds.now = kStart + 5s;
  rounds.round({}, counted(key, 3));
  REQUIRE(rounds.batch.size() == 1); // it moved
  CHECK(rounds.batch[0].timeout == 15s);
  rounds.now = kStart + 10s;
  rounds.round({}, counted(key, 3));
  CHECK(rounds.batch.empty()); // it did not
  rounds.now = kStart + 21s;
  rounds.round();
  CHECK(rounds.ledger.grants().empty());
  CHECK_FALSE(rounds.next());
}

TEST_CASE("a connection pushes its grant on every quarter of a lease, and its end lets it linger") {
  Rounds rounds;
  rounds.open("disc");
  rounds.round();
  rounds.round({{FlowEvent::Kind::begun, flow(kMail)}});
  CHECK(rounds.asks({kClient, kMail})); // the counter goes on where it stood
  REQUIRE(rounds.batch.size() == 1);
  CHECK(rounds.batch[0].timeout == kLease);
  CHECK(rounds.next() == kStart + kLease / 4);
  rounds.now = kStart + 45s;
  rounds.round();
  REQUIRE(rounds.batch.size() == 1);
  CHECK(rounds.batch[0].timeout == kLease);
  rounds.round({{FlowEvent::Kind::ended, flow(kMail)}});
  REQUIRE(rounds.batch.size() == 1);
  CHECK(rounds.batch[0].timeout == 5s);
}

TEST_CASE("what the kernel refused is planned again a second later, not sooner") {
  Rounds rounds;
  rounds.open("disc");
  rounds.round();
  rounds.takes = false;
  rounds.round({{FlowEvent::Kind::begun, flow(kMail)}});
  REQUIRE(rounds.batch.size() == 1);
  rounds.takes = true;
  CHECK(rounds.next() == kStart + 1s);
  rounds.now = kStart + 999ms;
  rounds.round();
  CHECK(rounds.batch.empty());
  CHECK(rounds.next() == kStart + 1s);
  rounds.now = kStart + 1s;
  rounds.round();
  CHECK(rounds.batch.size() == 1);
}

TEST_CASE("a use that the element counted is one, and so is each connection when the element is gone") {
  Rounds rounds;
  const GrantKey key{kClient, kImap, GrantSet::uses};
  rounds.open("uses");
  const auto left = [&] { return rounds.ledger.grants().begin()->second.uses_left; };
  rounds.round({{FlowEvent::Kind::begun, flow(kImap)}}, counted(key, 1));
  CHECK(rounds.asks(key));
  CHECK(left() == 1);
  SUBCASE("gone") {
    rounds.round({{FlowEvent::Kind::begun, flow(kImap, 50'001)}});
    CHECK(left() == 0);
  }
  SUBCASE("not to be read") {
    Seen seen;
    seen.elements_error = Error{"no buffer", 105, ""};
    rounds.round({{FlowEvent::Kind::begun, flow(kImap, 50'001)}}, seen);
    CHECK(left() == 1);
  }
}

TEST_CASE("a grant without a use left closes with the answer of its last connection, else when no SYN can "
          "come again") {
  Rounds rounds;
  const GrantKey key{kClient, kImap, GrantSet::uses};
  rounds.open("uses");
  rounds.round({{FlowEvent::Kind::begun, flow(kImap, 1)}, {FlowEvent::Kind::begun, flow(kImap, 2)}},
               counted(key, 2));
  rounds.round();
  CHECK(rounds.batch.empty());
  CHECK(rounds.next() == kStart + kSentAgain);
  SUBCASE("answered") {
    rounds.round({{FlowEvent::Kind::answered, flow(kImap, 1)}, {FlowEvent::Kind::answered, flow(kImap, 2)}});
  }
  SUBCASE("not answered") {
    rounds.now = kStart + kSentAgain;
    rounds.round();
  }
  if (rounds.batch.empty()) rounds.round();
  REQUIRE(rounds.batch.size() == 1);
  CHECK(rounds.batch[0].kind == Change::Kind::remove);
}

TEST_CASE(
    "connections that are older than the guard are looked for every five seconds, and close when gone") {
  Rounds rounds;
  auto session = request(*kConfig, "ssh");
  session.via = Via::session;
  session.source_port = 50'022;
  session.open_for = session.max = 1h;
  (void)knock::open(rounds.ledger, session);
  Seen seen;
  seen.connections = std::vector{GrantKey{kClient, kSsh, GrantSet::session, 50'022}};
  rounds.round({}, seen);
  CHECK(rounds.ask.connections);
  CHECK(rounds.batch.empty());
  CHECK(rounds.next() == kStart + 5s);
  rounds.now = kStart + 1s;
  rounds.round();
  CHECK_FALSE(rounds.ask.connections);
  rounds.now = kStart + 5s;
  seen.connections = std::vector<GrantKey>{};
  rounds.round({}, seen);
  CHECK(rounds.ask.connections);
  REQUIRE(rounds.batch.size() == 1);
  CHECK(rounds.batch[0].kind == Change::Kind::remove);
  rounds.round();
  CHECK_FALSE(rounds.next());
}

TEST_CASE("when events were lost all connections are read anew, but not before anything listens") {
  Rounds rounds;
  rounds.open("disc");
  rounds.listening = false;
  rounds.round({}, {}, true);
  CHECK_FALSE(rounds.ask.flows);
  CHECK(rounds.ends.wants_flows());
  rounds.listening = true;
  Seen seen;
  seen.flows = std::vector{flow(kMail)};
  rounds.round({}, seen);
  CHECK(rounds.ask.flows);
  CHECK_FALSE(rounds.ends.wants_flows());
  CHECK(rounds.next() <= kStart); // its grant is pushed on at once
  rounds.round();
  REQUIRE(rounds.batch.size() == 1);
  CHECK(rounds.batch[0].timeout == kLease);
}

TEST_CASE("when connections are not heard of any more, grants end by their time") {
  Rounds rounds;
  rounds.open("disc");
  rounds.round({{FlowEvent::Kind::begun, flow(kMail)}});
  rounds.ends.forget_flows(rounds.ledger);
  rounds.now = kStart + 45s;
  rounds.round();
  CHECK(rounds.batch.empty());
  CHECK(rounds.next() == kStart + kLease - 100ms);
}
