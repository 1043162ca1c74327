// SPDX-License-Identifier: GPL-2.0-or-later
// Log lines of very many grants, and how fast they may be asked for.
#include <knock/audit_sum.hpp>
#include <knock/pace.hpp>

#include <doctest/doctest.h>

using namespace knock;
using namespace std::chrono_literals;

namespace {

using Verb = LedgerEvent::Verb;
const Instant kStart{1000s};

LedgerEvent event(std::string door, Verb verb = Verb::open, std::string by = "-", Via via = Via::knock) {
  LedgerEvent one;
  one.verb = verb;
  one.grant.door = std::move(door);
  one.grant.by = std::move(by);
  one.grant.via = via;
  return one;
}

int lines(AuditSum& audit, int events, const LedgerEvent& one, Instant now) {
  int own = 0;
  for (int i = 0; i < events; ++i) own += audit.own_line(one, now) ? 1 : 0;
  return own;
}

} // namespace

TEST_CASE("a hundred lines a second are written, the rest is summed up by door and verb") {
  AuditSum audit;
  CHECK(lines(audit, 100, event("guest"), kStart) == 100);
  CHECK_FALSE(audit.next());
  CHECK(lines(audit, 4212, event("guest"), kStart + 1ms) == 0);
  CHECK(lines(audit, 3120, event("guest", Verb::expire), kStart + 500ms) == 0);
  CHECK(lines(audit, 12, event("guest", Verb::close), kStart + 999ms) == 0);
  CHECK(audit.next() == kStart + 1s);
  CHECK(audit.due(kStart + 999ms).empty());
  const auto sums = audit.due(kStart + 1s);
  REQUIRE(sums.size() == 1);
  CHECK(to_string(sums[0]) == "summed door=guest open=4212 extend=0 expire=3120 close=12 seconds=1");
  CHECK_FALSE(audit.next());
  CHECK(audit.due(kStart + 5s).empty());
  CHECK(lines(audit, 101, event("guest"), kStart + 5s) == 100);
}

TEST_CASE("a flood at one door hides no line of another") {
  AuditSum audit;
  lines(audit, 5000, event("guest"), kStart);
  CHECK(lines(audit, 10, event("ssh"), kStart + 1ms) == 10);
  CHECK(lines(audit, 3, event("ssh", Verb::extend), kStart + 2ms) == 0);
  const auto sums = audit.due(kStart + 1s);
  REQUIRE(sums.size() == 2);
  CHECK(to_string(sums[1]) == "summed door=ssh open=0 extend=3 expire=0 close=0 seconds=1");
}

TEST_CASE("what names somebody, and what was opened by hand, always gets its line") {
  AuditSum audit;
  lines(audit, 5000, event("guest"), kStart);
  lines(audit, 5000, event("ssh"), kStart);
  CHECK(lines(audit, 500, event("ssh", Verb::open, "alice/phone", Via::kn1), kStart) == 500);
  CHECK(lines(audit, 500, event("guest", Verb::expire, "-", Via::hand), kStart) == 500);
}

TEST_CASE("pace: a second's tokens at once, then as many a second") {
  Pace pace(1000);
  const DoorId door{1};
  int taken = 0;
  for (int i = 0; i < 500; ++i) taken += pace.take(door, 200, kStart) ? 1 : 0;
  CHECK(taken == 200);
  CHECK_FALSE(pace.take(door, 200, kStart + 4ms));
  CHECK(pace.take(door, 200, kStart + 5ms));
  CHECK_FALSE(pace.take(door, 200, kStart + 5ms));
  for (int i = 0; i < 10'000; ++i) taken += pace.take(door, 200, kStart + 10s + i * 1ms) ? 1 : 0;
  CHECK(taken == doctest::Approx(200 + 200 + 2000).epsilon(0.01));
}

TEST_CASE("pace: a flood at one door leaves the others theirs, and all together have a limit") {
  Pace pace(1000);
  for (int i = 0; i < 100'000; ++i) (void)pace.take(DoorId{1}, 250, kStart + i * 10us);
  CHECK(pace.take(DoorId{2}, 250, kStart + 1s));
  int taken = 0;
  for (unsigned id = 3; id < 103; ++id)
    for (int i = 0; i < 100; ++i) taken += pace.take(DoorId{id}, 250, kStart + 1s) ? 1 : 0;
  CHECK(taken < 1000);
  CHECK(taken > 500);
}

TEST_CASE("pace: a small share still takes 64 a second, and a refusal is news for a while") {
  Pace pace(1);
  CHECK_FALSE(pace.exceeded(kStart));
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += pace.take(DoorId{7}, 1, kStart) ? 1 : 0;
  CHECK(taken == 64);
  CHECK(pace.exceeded(kStart + 9s) == DoorId{7});
  CHECK_FALSE(pace.exceeded(kStart + 10s));
}

TEST_CASE("the sooner of two moments is none only when both are") {
  const Instant one{Seconds{1}}, two{Seconds{2}};
  CHECK(sooner(one, two) == one);
  CHECK(sooner(two, one) == one);
  CHECK(sooner({}, two) == two);
  CHECK(sooner(two, {}) == two);
  CHECK_FALSE(sooner({}, {}));
}
