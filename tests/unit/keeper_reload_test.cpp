// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/reload.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

using Ports = std::vector<Port>;
const Guarded kSshGuarded{kSsh, {}}, kWebGuarded{kWeb, {}};

const ReloadOptions kAsk{.ask = true}, kNow{.now = true}, kConfirm{.confirm = 10min, .uid = 1000};
const auto kOne = config_of(kSshDoor);
const auto kTwo = config_of(kSshDoor + kWebDoor);
const auto kNone = config_of("");

Unconfirmed trial_of(Port port, Millis left) {
  return {{port, {.until = kStart + left, .begun = kStart - 1min, .uid = 0}}};
}

/// From kOne, which is in the kernel, to kTwo.
Wish grow(const ReloadOptions& options, const Memory& memory = {},
          const std::vector<Guarded>& guarded = {kSshGuarded}) {
  return plan_reload(kOne.get(), kTwo, memory, options, guarded, kStart);
}

bool says(const std::vector<std::string>& texts, std::string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

} // namespace

TEST_CASE("a start guards what is written; what is guarded already is not new") {
  const auto wish = plan_reload(nullptr, kTwo, {}, {}, {kSshGuarded}, kStart);
  CHECK(wish.sets.guarded == std::vector{kSshGuarded, kWebGuarded});
  CHECK(wish.applied.guarded == Ports{kWeb});
  CHECK(wish.applied.unguarded.empty());
  CHECK(wish.applied.changed);
}

TEST_CASE("after a start a trial goes on with the time that is left, and one that is over guards nothing") {
  Memory memory{trial_of(kWeb, 4s), {}};
  auto wish = plan_reload(nullptr, kTwo, memory, {}, {}, kStart);
  CHECK(wish.sets.guarded == std::vector{kSshGuarded, {kWeb, 4s}});
  CHECK(wish.memory.unconfirmed == memory.unconfirmed);
  memory.unconfirmed = trial_of(kWeb, 0s);
  wish = plan_reload(nullptr, kTwo, memory, {}, {}, kStart);
  CHECK(wish.sets.guarded == std::vector{kSshGuarded});
  CHECK(wish.memory.unconfirmed == memory.unconfirmed); // it waits for a reload that says what shall be
}

TEST_CASE("a plain reload that would guard a new port is forbidden; what was promised is not new") {
  auto wish = grow(kAsk);
  CHECK(wish.applied.fresh == Ports{kWeb});
  CHECK(is_forbidden(wish, kAsk));
  CHECK_FALSE(is_forbidden(wish, kNow));
  // The table is gone, or another process unguarded the port: it comes back without a question.
  wish = plan_reload(kTwo.get(), kTwo, {}, kAsk, {}, kStart);
  CHECK(wish.applied.guarded == Ports{kSsh, kWeb});
  CHECK(wish.applied.fresh.empty());
  CHECK_FALSE(is_forbidden(wish, kAsk));
}

TEST_CASE("--confirm guards the new port for that long, and the old ones for good") {
  const auto wish = grow(kConfirm);
  CHECK(wish.sets.guarded == std::vector{kSshGuarded, {kWeb, 10min}});
  REQUIRE(wish.memory.unconfirmed.size() == 1);
  CHECK(wish.memory.unconfirmed.at(kWeb) == Trial{.until = kStart + 10min, .begun = kStart, .uid = 1000});
}

TEST_CASE("--confirm does not prolong a trial that goes on, and begins one anew that is over") {
  const auto on = trial_of(kWeb, 5s);
  CHECK(grow(kConfirm, {on, {}}, {kSshGuarded, {kWeb, 5s}}).memory.unconfirmed == on);
  const auto anew = grow(kConfirm, {trial_of(kWeb, -1s), {}});
  CHECK(anew.memory.unconfirmed.at(kWeb).until == kStart + 10min);
}

TEST_CASE("--now guards for good, what is on trial too") {
  const auto wish = grow(kNow, {trial_of(kWeb, 5s), {}}, {kSshGuarded, {kWeb, 5s}});
  CHECK(wish.sets.guarded == std::vector{kSshGuarded, kWebGuarded});
  CHECK(wish.memory.unconfirmed.empty());
  CHECK(wish.applied.changed);
}

TEST_CASE("a port that goes is unguarded, and its trial ends with it") {
  const Memory memory{trial_of(kWeb, 5s), {}};
  auto wish = plan_reload(kTwo.get(), kOne, memory, kAsk, {kSshGuarded, {kWeb, 5s}}, kStart);
  CHECK(wish.applied.unguarded == Ports{kWeb});
  CHECK(wish.memory.unconfirmed.empty());
  wish = plan_reload(kTwo.get(), kNone, memory, kAsk, {kSshGuarded, {kWeb, 5s}}, kStart);
  CHECK(wish.applied.unguarded == Ports{kSsh, kWeb});
  CHECK(wish.sets == StaticSets{});
  CHECK(wish.memory.unconfirmed.empty());
}

TEST_CASE("off guards nothing and is not forgotten; a new port is still one that has to be asked for") {
  const Memory off{trial_of(kSsh, 5s), 1'790'000'000};
  const auto wish = grow(kAsk, off, {});
  CHECK(wish.sets == StaticSets{});
  CHECK(wish.applied.guarded.empty());
  CHECK(wish.memory.off_since == 1'790'000'000);
  CHECK(wish.memory.unconfirmed == off.unconfirmed);
  CHECK(is_forbidden(wish, kAsk));
  CHECK(sets_of(*kTwo, off, kStart) == StaticSets{});
}

TEST_CASE("a reload that changes nothing says so; another text is a change") {
  const auto wish = plan_reload(kOne.get(), kOne, {}, kAsk, {kSshGuarded}, kStart);
  CHECK_FALSE(wish.applied.changed);
  CHECK(says(reload_texts(kAsk, wish.applied, {}, kStart), "nothing changed."));
  const auto other = config_of("# another\n" + kSshDoor);
  CHECK(plan_reload(kOne.get(), other, {}, kAsk, {kSshGuarded}, kStart).applied.changed);
}

TEST_CASE("what a reload cannot change is refused by its name") {
  const auto why = [](auto change) {
    auto next = *kTwo;
    change(next);
    const auto failure = unchangeable(*kOne, next, "knockgate.toml");
    return failure ? failure->text : std::string();
  };
  CHECK(why([](Config& next) { next.nft.mode = Mode::embed; }) == "[nft] mode and table are fixed at start");
  CHECK(why([](Config& next) { next.nft.table = "other"; }) == "[nft] mode and table are fixed at start");
  CHECK(why([](Config& next) { next.control.socket = "/run/other"; }) ==
        "[control] socket is fixed at start");
  CHECK(why([](Config& next) { next.control.state = "/var/other"; }) == "[control] state is fixed at start");
  CHECK(why([](Config& next) { next.limits.attempts *= 2; }) == "[limits] attempts is fixed at start");
  CHECK(why([](Config& next) {
          next.limits.grants = 1'000;
          next.nflog.group = 60;
        }).empty());
}

TEST_CASE(
    "a connection to a newly guarded port goes on as that very connection, as long as its door may be open") {
  const GrantKey ssh{kClient, kSsh, GrantSet::session, 50'022}, web{kClient, kWeb, GrantSet::session, 50'443};
  const GrantKey local{address("127.0.0.1"), kSsh, GrantSet::session, 50'023};
  const auto requests = sessions_of(*kTwo, {kSsh}, {local, ssh, web}, 0);
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].door == "ssh");
  CHECK(requests[0].source_port == 50'022);
  CHECK(requests[0].ports == Ports{kSsh});
  CHECK(requests[0].via == Via::session);
  CHECK(requests[0].open_for == 5min);
  CHECK(requests[0].max == 5min);
}

TEST_CASE("sessions leave half of their set free: a full one would refuse the whole guard") {
  std::vector<GrantKey> connections;
  for (std::uint16_t port = 1; port <= 4; ++port)
    connections.push_back({kClient, kSsh, GrantSet::session, port});
  CHECK(sessions_of(*kOne, {kSsh}, connections, 0).size() == 4);
  CHECK(sessions_of(*kOne, {kSsh}, connections, kMostSessions - 3).size() == 3);
  CHECK(sessions_of(*kOne, {kSsh}, connections, kMostSessions).empty());
}

TEST_CASE(
    "grants of a door that is gone or disabled close, and of one that gives a port no more; no foreign one") {
  Ledger ledger({});
  const auto ssh = open(ledger, request(*kTwo, "ssh"));
  const auto web = open(ledger, request(*kTwo, "web"));
  auto foreign = request(*kTwo, "ssh", kOther);
  foreign.door = "foreign";
  foreign.via = Via::foreign;
  (void)open(ledger, foreign);
  CHECK(gone_grants(*kTwo, ledger).empty());
  using Gone = std::map<std::string, std::set<std::uint64_t>>;
  CHECK(gone_grants(*kOne, ledger) == Gone{{"door-removed", {web}}});
  const auto moved = config_of(door_text("ssh", 7'100, "opens = [\"tcp/2022\"]") +
                               door_text("web", 7'200, "enabled = false\nopens = [\"tcp/443\"]"));
  CHECK(gone_grants(*moved, ledger) == Gone{{"door-changed", {ssh}}, {"door-removed", {web}}});
}

TEST_CASE("what a trial means is said with the ports, their time and what to do") {
  const auto wish = grow(kConfirm);
  const auto texts = reload_texts(kConfirm, wish.applied, {}, kStart);
  CHECK(says(texts, "tcp/443 guarded from now, for 10 min unless confirmed."));
  CHECK(texts.back().starts_with("confirm refuses until"));
  CHECK(says(reload_texts(kNow, grow(kNow).applied, {}, kStart), "tcp/443 guarded from now."));
  const auto before = trial_of(kWeb, 5s);
  const auto on = plan_reload(kTwo.get(), kTwo, {before, {}}, kConfirm, {kSshGuarded, {kWeb, 5s}}, kStart);
  CHECK(says(reload_texts(kConfirm, on.applied, before, kStart),
             "tcp/443 is on trial already, 5 s left: knockctl confirm"));
  CHECK(says(reload_texts(kNow, on.applied, before, kStart), "tcp/443 guarded for good, its trial is over."));
}

TEST_CASE("of many connections a few are named and the others counted") {
  Applied applied;
  applied.changed = true;
  applied.closed = 1;
  for (std::uint16_t port = 1; port <= 10; ++port) {
    OpenGrant grant;
    grant.source = kClient;
    grant.source_port = port;
    applied.sessions.push_back(grant);
  }
  const auto texts = reload_texts({}, applied, {}, kStart);
  REQUIRE(texts.size() == 10);
  CHECK(texts[0] == "The connection from 203.0.113.9 port 1 goes on; a new one needs the knock.");
  CHECK(texts[8] == "So do 2 more.");
  CHECK(texts[9] == "1 grant closed: the door, a port of it, or the device is gone or off.");
}
