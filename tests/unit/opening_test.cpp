// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/keeping.hpp>
#include <knock/opening.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace knock;
using Outcome = Opening::Outcome;
using Kind = OpeningStep::Kind;

namespace {

constexpr Instant kBegin{Seconds{1'000}};
constexpr Instant after(int ms) {
  return kBegin + Millis{ms};
}

/// A plan on a clock that is turned by hand: what it did, and when.
struct Played {
  struct Done {
    Millis at;
    OpeningStep step;
  };
  explicit Played(const OpeningPlan& plan) : opening(plan, kBegin) {}

  /// Turns the clock to `ms`; each step that was due on the way.
  std::vector<Done> until(int ms) {
    std::vector<Done> done;
    for (;;) {
      for (const auto& step : opening.due(now))
        done.push_back({std::chrono::floor<Millis>(now - kBegin), step});
      const auto next = std::max(opening.next(), now);
      if (next > after(ms) || opening.outcome(now) != Outcome::pending) break;
      now = next == now ? now + Millis{1} : next;
    }
    now = std::max(now, after(ms));
    all.insert(all.end(), done.begin(), done.end());
    return done;
  }
  [[nodiscard]] std::vector<Millis::rep> times(Kind kind, std::size_t path = 0) const {
    std::vector<Millis::rep> times;
    for (const auto& one : all)
      if (one.step.kind == kind && one.step.path == path) times.push_back(one.at.count());
    return times;
  }
  [[nodiscard]] Outcome outcome() const { return opening.outcome(now); }

  Opening opening;
  Instant now = kBegin;
  std::vector<Done> all;
};

using Times = std::vector<Millis::rep>;

} // namespace

TEST_CASE("a silent router is knocked at 0, 1, 3 and 6 s, and connected to behind the first knock") {
  Played played({});
  played.until(9'999);
  CHECK(played.times(Kind::knock) == Times{0, 1'000, 3'000, 6'000});
  CHECK(played.times(Kind::connect) == Times{0, 20, 250, 750, 2'000, 4'000});
  CHECK(played.all.front().step.kind == Kind::connect); // before the knock
  CHECK(played.outcome() == Outcome::pending);
  played.until(10'000);
  CHECK(played.outcome() == Outcome::nothing);
  CHECK_FALSE(played.opening.all_refused());
}

TEST_CASE("the first connection that stands ends it, whatever its path") {
  OpeningPlan plan;
  plan.paths = 2;
  Played played(plan);
  played.until(300);
  CHECK(played.times(Kind::knock, 1) == Times{0});
  played.opening.connected(1);
  CHECK(played.outcome() == Outcome::open);
  CHECK(played.opening.path() == 1);
  played.opening.connected(0);
  CHECK(played.opening.path() == 1);
  CHECK(played.until(20'000).empty());
}

TEST_CASE("where tries are refused, one comes behind each further knock") {
  Played played({});
  for (int ms = 0; ms < 10'000; ms += 10)
    for (const auto& done : played.until(ms))
      if (done.step.kind == Kind::connect) played.opening.refused(0, done.step.number, played.now);
  const auto tries = played.times(Kind::connect);
  for (const long knock : {0, 1'000, 3'000, 6'000})
    CHECK(std::count(tries.begin(), tries.end(), knock + 20) == 1);
  CHECK(std::is_sorted(tries.begin(), tries.end()));
  played.until(10'000);
  CHECK(played.outcome() == Outcome::nothing);
  CHECK(played.opening.all_refused());
}

TEST_CASE(
    "silent before the knock, refused since, behind a second knock, too: it is open, and nobody listens") {
  Played played({});
  const auto refuse_until =
      [&](int from, int until) { // at once; what began before the knock is repeated behind a second
        for (int ms = from; ms <= until; ms += 10)
          for (const auto& done : played.until(ms))
            if (done.step.kind == Kind::connect && done.step.number > 0)
              played.opening.refused(0, done.step.number, played.now);
      };
  refuse_until(0, 1'000);
  CHECK(played.outcome() == Outcome::pending); // one packet that was lost looks the same so far
  played.opening.refused(0, 0, played.now);
  CHECK(played.outcome() == Outcome::pending);
  refuse_until(1'010, 1'020);
  CHECK(played.outcome() == Outcome::service_refuses);
}

TEST_CASE("a gate that refuses, and a first packet that was lost: a second knock may open") {
  Played played({});
  for (int ms = 0; ms <= 1'010; ms += 10)
    for (const auto& done : played.until(ms))
      if (done.step.kind == Kind::connect && done.at >= Millis{100})
        played.opening.refused(0, done.step.number, played.now); // those before were lost
  CHECK(played.outcome() == Outcome::pending);
  played.opening.connected(0);
  CHECK(played.outcome() == Outcome::open);
}

TEST_CASE("paths are connected to one after the other, 250 ms apart, and knocked at together") {
  OpeningPlan plan;
  plan.paths = 6;
  Played played(plan);
  played.until(900);
  for (std::size_t path = 0; path < plan.paths; ++path) {
    CHECK(played.times(Kind::knock, path) == Times{0});
    CHECK(played.times(Kind::connect, path).front() == 0);
  }
  CHECK(played.times(Kind::connect, 0)[1] == 20);
  CHECK(played.times(Kind::connect, 1)[1] == 270);
  CHECK(played.times(Kind::connect, 3)[1] == 770);
  CHECK(played.times(Kind::connect, 5)[1] == 770);
}

TEST_CASE("a door that a connection uses up is tried once at a time") {
  OpeningPlan plan;
  plan.verify = OpeningPlan::Verify::connect_one;
  Played played(plan);
  played.until(900);
  CHECK(played.times(Kind::connect) == Times{20});
  played.opening.failed(0, 0);
  played.until(1'500);
  CHECK(played.times(Kind::connect) == Times{20, 1'020});
}

TEST_CASE("what nothing can verify is knocked at 0, 1 and 3 s; what uses up, once") {
  OpeningPlan plan;
  plan.verify = OpeningPlan::Verify::no;
  Played played(plan);
  played.until(2'999);
  CHECK(played.outcome() == Outcome::pending);
  played.until(3'000);
  CHECK(played.times(Kind::knock) == Times{0, 1'000, 3'000});
  CHECK(played.outcome() == Outcome::sent);

  plan.verify = OpeningPlan::Verify::no_once;
  Played once(plan);
  once.until(0);
  CHECK(once.outcome() == Outcome::sent);
}

TEST_CASE("a sequence goes out packet by packet, path behind path, and again when the router forgot it") {
  OpeningPlan plan;
  plan.paths = 2;
  plan.parts = {Millis{0}, Millis{100}, Millis{200}};
  plan.again = Millis{5'000};
  Played played(plan);
  played.until(9'999);
  CHECK(played.times(Kind::knock, 0) == Times{0, 100, 200, 5'000, 5'100, 5'200});
  CHECK(played.times(Kind::knock, 1) == Times{300, 400, 500, 5'300, 5'400, 5'500});
  CHECK(played.times(Kind::connect, 0).front() == 220);
  CHECK(played.times(Kind::connect, 1).front() == 520);
}

TEST_CASE("what was opened a moment ago is connected to for a second before it is knocked at") {
  OpeningPlan plan;
  plan.try_first = true;
  Played open(plan);
  open.until(0);
  CHECK(open.times(Kind::connect) == Times{0});
  open.opening.connected(0);
  CHECK(open.outcome() == Outcome::open);
  CHECK_FALSE(open.opening.has_knocked());

  Played silent(plan);
  silent.until(2'500);
  CHECK(silent.times(Kind::knock) == Times{1'000, 2'000});

  Played shut(plan); // it says so, so there is nothing to wait for
  for (int ms = 0; ms < 1'000; ms += 10)
    for (const auto& done : shut.until(ms))
      if (done.step.kind == Kind::connect) shut.opening.refused(0, done.step.number, shut.now);
  CHECK(shut.times(Kind::knock).front() == 750);
}

TEST_CASE("another's knock gets a second, thrice") {
  Played played({});
  for (int turn = 0; turn < 3; ++turn) {
    const auto before = played.all.size();
    played.until(turn * 1'000);
    CHECK(std::any_of(played.all.begin() + static_cast<long>(before), played.all.end(),
                      [](const auto& one) { return one.step.kind == Kind::knock; }));
    REQUIRE(played.opening.may_yield());
    played.opening.yield(played.now);
    CHECK_FALSE(played.opening.has_knocked());
  }
  CHECK_FALSE(played.opening.may_yield());
  played.until(3'500);
  CHECK(played.opening.has_knocked());
}

TEST_CASE("who has a second in all knocks within it, also behind another's knock") {
  for (const bool yields : {false, true}) {
    OpeningPlan plan;
    plan.timeout = Millis{1'000};
    plan.try_first = !yields;
    Played played(plan);
    if (yields) {
      played.opening.due(kBegin);
      played.opening.yield(kBegin);
    }
    played.until(1'000);
    CHECK(played.times(Kind::knock) == Times{500});
  }
}

TEST_CASE("a path that cannot be sent on has no more steps, and without any it is over") {
  OpeningPlan plan;
  plan.paths = 2;
  Played played(plan);
  played.until(0);
  played.opening.drop(0);
  played.until(1'500);
  CHECK(played.times(Kind::connect, 0) == Times{0});
  CHECK_FALSE(played.times(Kind::connect, 1).empty());
  CHECK(played.outcome() == Outcome::pending);
  played.opening.drop(1);
  CHECK(played.outcome() == Outcome::nothing);
}

TEST_CASE("a door is kept open by a refresh each third of its time, at most five minutes apart") {
  Keeping keeping(Seconds{30}, std::nullopt);
  keeping.opened(kBegin);
  CHECK(keeping.next() == Keeping::Next::refresh);
  CHECK(keeping.at() == kBegin + Seconds{10});
  keeping.refreshed(kBegin + Seconds{10});
  CHECK(keeping.at() == kBegin + Seconds{20});

  Keeping day(std::chrono::hours{24}, std::nullopt);
  day.opened(kBegin);
  CHECK(day.at() == kBegin + std::chrono::minutes{5});
}

TEST_CASE("beyond its longest time it is opened anew") {
  Keeping keeping(Seconds{30}, Seconds{25});
  keeping.opened(kBegin);
  keeping.refreshed(kBegin + Seconds{10});
  keeping.refreshed(kBegin + Seconds{20});
  CHECK(keeping.next() == Keeping::Next::open);
  CHECK(keeping.at() == kBegin + Seconds{25});
}

TEST_CASE("after a failure it waits longer each time, at most a minute; after a move not at all") {
  Keeping keeping(Seconds{30}, std::nullopt);
  Times waits;
  for (int i = 0; i < 8; ++i) {
    keeping.failed(kBegin);
    waits.push_back(std::chrono::floor<Seconds>(keeping.at() - kBegin).count());
  }
  CHECK(waits == Times{1, 2, 4, 8, 16, 32, 60, 60});
  CHECK(keeping.next() == Keeping::Next::open);
  keeping.moved(kBegin + Seconds{3});
  CHECK(keeping.at() == kBegin + Seconds{3});
  keeping.failed(kBegin + Seconds{3});
  CHECK(keeping.at() == kBegin + Seconds{4});
}
