// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/tracker.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
#include <thread>

#include "../harness/sequences.hpp"

using namespace knock;
using namespace std::chrono_literals;

namespace {

const Instant kStart{100'000s};

/// One router's tracker with a clock that only the test moves.
struct World {
  explicit World(std::vector<Sequence> sequences, Millis cooloff = 30s)
      : policy(*Policy::compile(sequences, cooloff)), tracker(kTestWords, kTestKey) {}

  Outcome knock(const Address& source, unsigned port) {
    return tracker.step(policy, syn(source, port, ++number), tcp(port), now);
  }
  Outcome knock(unsigned port) { return knock(client, port); }
  Outcome again(unsigned port) { return tracker.step(policy, syn(client, port, number), tcp(port), now); }
  bool opens(std::initializer_list<unsigned> ports) {
    Outcome last;
    for (auto port : ports) last = knock(port);
    return last.opened_count > 0;
  }

  Policy policy;
  Tracker tracker;
  Address client = *parse_address("203.0.113.9");
  Instant now = kStart;
  std::uint32_t number = 0;
};

} // namespace

TEST_CASE("the steps in order open, once") {
  World world({sequence("ssh", {1, 2, 3})});
  CHECK(world.knock(1).started);
  CHECK(world.knock(2).steps == 1);
  const auto last = world.knock(3);
  REQUIRE(last.completed().size() == 1);
  CHECK(world.policy.sequence(last.completed()[0]).door == door_id("ssh"));
  CHECK(world.knock(3).opened_count == 0);
}

TEST_CASE("another source does not finish what one began") {
  World world({sequence("ssh", {1, 2, 3})});
  world.knock(1);
  world.knock(2);
  CHECK(world.knock(*parse_address("203.0.113.10"), 3).opened_count == 0);
  CHECK(world.knock(3).opened_count == 1);
}

TEST_CASE("addresses of one IPv6 /64 are one source, of two /64s are two") {
  World world({sequence("ssh", {1, 2})});
  world.knock(*parse_address("2001:db8::1"), 1);
  CHECK(world.knock(*parse_address("2001:db8:0:1::1"), 2).opened_count == 0);
  CHECK(world.knock(*parse_address("2001:db8::2"), 2).opened_count == 1);
}

TEST_CASE("within counts from the first step") {
  World world({sequence("ssh", {1, 2})});
  world.knock(1);
  world.now += 10s;
  CHECK(world.knock(2).opened_count == 1);
  world.now += 60s;
  world.knock(1);
  world.now += 10s + 2 * kTick;
  const auto late = world.knock(2);
  CHECK(late.opened_count == 0);
  CHECK(late.ended == 1);
}

TEST_CASE("a door's own within and strays are tested where doors share a path") {
  auto fast = sequence("fast", {1, 2, 3});
  fast.within = 2s;
  fast.strays = 1;
  World world({fast, sequence("slow", {1, 2, 4})});
  world.knock(1);
  world.knock(2);
  world.now += 3s;
  CHECK(world.knock(3).opened_count == 0);
  world.now += 60s;
  CHECK(world.opens({1, 2, 4}));
  world.now += 60s;
  CHECK_FALSE(world.opens({1, 77, 78, 2, 3}));
  world.now += 60s;
  CHECK(world.opens({1, 77, 78, 2, 4}));
}

TEST_CASE("strays beyond the budget cool the source off, and it is heard again after") {
  auto door = sequence("ssh", {1, 2, 3});
  door.strays = 2;
  World world({door});
  CHECK(world.opens({1, 50, 51, 2, 3}));
  world.now += 60s;
  world.knock(1);
  world.knock(50);
  world.knock(51);
  CHECK(world.knock(52).cooled);
  CHECK_FALSE(world.opens({1, 2, 3}));
  CHECK(world.knock(1).cooling);
  world.now += 31s;
  CHECK(world.opens({1, 2, 3}));
}

TEST_CASE("without a cool-off a spent budget only ends the attempts") {
  auto door = sequence("ssh", {1, 2, 3});
  door.strays = 0;
  World world({door}, 0ms);
  CHECK_FALSE(world.opens({1, 50, 2, 3}));
  CHECK(world.opens({1, 2, 3}));
}

TEST_CASE("a retransmit is neither a step nor a stray") {
  auto door = sequence("ssh", {1, 2, 1, 3});
  door.strays = 0;
  door.reorder = 0ms;
  World world({door});
  world.knock(1);
  CHECK(world.again(1).known);
  world.knock(2);
  CHECK(world.again(2).known);
  world.knock(1);
  CHECK(world.again(1).known);
  CHECK(world.knock(3).opened_count == 1);
  CHECK(world.again(3).opened_count == 0);
}

TEST_CASE("neighbours that arrive swapped within reorder open, later they do not") {
  World world({sequence("ssh", {1, 2, 3})});
  CHECK(world.opens({2, 1, 3}));
  world.now += 60s;
  CHECK(world.opens({1, 3, 2}));
  world.now += 60s;
  world.knock(1);
  world.knock(3);
  world.now += 80ms;
  CHECK(world.knock(2).opened_count == 0);
  world.now += 60s;
  CHECK_FALSE(world.opens({3, 2, 1}));
  auto strict = sequence("ssh", {1, 2, 3});
  strict.reorder = 0ms;
  World other({strict});
  CHECK_FALSE(other.opens({2, 1, 3}));
}

TEST_CASE("a first step that comes late behind a swapped one begins anew") {
  World world({sequence("ssh", {1, 2, 3})});
  world.knock(2);
  world.now += 5s;
  world.knock(1);
  world.now += 9s; // within 10 s of the 1
  world.knock(2);
  CHECK(world.knock(3).opened_count == 1);
}

TEST_CASE("a wrong beginning does not spoil the right one behind it") {
  World world({sequence("ssh", {1, 2, 3})});
  CHECK(world.opens({1, 1, 2, 3}));
  world.now += 60s;
  CHECK(world.opens({3, 1, 2, 3}));
}

TEST_CASE("doors that begin alike open each for its own end, and one packet can open two") {
  World world({sequence("a", {1, 2}), sequence("b", {1, 2, 3}), sequence("c", {3})});
  CHECK(world.opens({1, 2}));
  CHECK(world.knock(3).opened_count == 2);
}

TEST_CASE("the packet that completes a sequence begins none, but one that it completes, too") {
  World world({sequence("a", {1, 2}), sequence("c", {2, 3})});
  CHECK(world.opens({1, 2}));
  CHECK(world.knock(3).opened_count == 0);
  world.now += 60s;
  CHECK(world.opens({2, 3}));
}

TEST_CASE("a sequence of one step opens at once") {
  World world({sequence("ssh", {1})});
  CHECK(world.knock(1).opened_count == 1);
  CHECK(world.again(1).opened_count == 0);
}

TEST_CASE("a reload keeps attempts on paths that stay") {
  World world({sequence("ssh", {1, 2, 3}), sequence("old", {7, 8})});
  world.knock(1);
  world.knock(2);
  world.knock(7);
  auto next = *Policy::compile(std::vector{sequence("new", {4, 5, 6}), sequence("ssh", {1, 2, 3})}, 30s);
  world.tracker.carry_over(next.carry_over(world.policy));
  world.policy = std::move(next);
  CHECK(world.tracker.attempts(world.policy, world.now) == 1);
  CHECK(world.knock(3).opened_count == 1);
}

TEST_CASE("the sweep frees what ended and counts what lives") {
  World world({sequence("ssh", {1, 2, 3})});
  for (std::uint32_t i = 0; i < 1000; ++i) world.knock(ipv4(i), 1);
  CHECK(world.tracker.attempts(world.policy, world.now) == 1000);
  world.now += 5s;
  for (std::uint32_t i = 1000; i < 1500; ++i) world.knock(ipv4(i), 1);
  world.now += 6s;
  CHECK(world.tracker.sweep(world.policy, world.now, 0, world.tracker.size()) == 500);
}

TEST_CASE("a flood of first knocks from a million sources spares who is further, and who is quick") {
  World world({sequence("ssh", {1, 2, 3})});
  std::mt19937 random(7);
  int opened = 0;
  for (int honest = 0; honest < 100; ++honest) {
    const auto source = ipv4(0xcb007100U + static_cast<std::uint32_t>(honest));
    world.knock(source, 1);
    for (int i = 0; i < 5'000; ++i) world.knock(ipv4(static_cast<std::uint32_t>(random())), 1);
    world.knock(source, 2);
    for (int i = 0; i < 5'000; ++i) world.knock(ipv4(static_cast<std::uint32_t>(random())), 1);
    opened += world.knock(source, 3).opened_count;
    world.now += 50ms;
  }
  CHECK(opened == 100);
}

// A sweep: every port once, in some order. With strays counted it opens nothing; where they are
// not counted it must open, or this test would pass for the wrong reason.
TEST_CASE("a scan of all ports opens nothing, because strays are counted") {
  std::mt19937 random(3);
  const auto scan = [&](std::uint32_t strays_seen, int rounds) {
    int opened = 0;
    auto door = sequence("ssh", {0, 0, 0});
    std::vector<unsigned> ports(65'535);
    std::iota(ports.begin(), ports.end(), 1U);
    for (int round = 0; round < rounds; ++round) {
      for (auto& step : door.steps) step = tcp_step(1 + static_cast<unsigned>(random()) % 65'535);
      if (door.steps[0] == door.steps[1] || door.steps[1] == door.steps[2] || door.steps[0] == door.steps[2])
        continue;
      World world({door});
      if (round % 3 == 0) std::shuffle(ports.begin(), ports.end(), random);
      if (round % 3 == 1) std::sort(ports.begin(), ports.end());
      if (round % 3 == 2) std::sort(ports.rbegin(), ports.rend());
      for (auto port : ports) {
        const bool step = std::find(door.steps.begin(), door.steps.end(), tcp_step(port)) != door.steps.end();
        if (!step && strays_seen == 0) continue; // nobody reports it
        opened += world.knock(port).opened_count;
        world.now += 100us;
      }
      world.now += 200s; // an honest knock right after opens
      for (const auto& step : door.steps)
        opened -= static_cast<int>(world.knock(step.kind.port.number).opened_count);
      ++opened;
    }
    return opened;
  };
  CHECK(scan(1, 30) == 0);
  CHECK(scan(0, 30) > 0);
}

TEST_CASE("four threads over one table: every honest knock opens, no word is torn") {
  const auto policy = *Policy::compile(std::vector{sequence("ssh", {1, 2, 3}), sequence("nas", {1, 4})}, 30s);
  Tracker tracker(kTestWords, kTestKey);
  std::atomic<bool> done{false};
  std::atomic<int> opened{0};
  std::vector<std::thread> threads;
  for (std::uint32_t worker = 0; worker < 4; ++worker)
    threads.emplace_back([&, worker] {
      std::uint32_t number = worker << 28U;
      std::mt19937 random(worker);
      for (std::uint32_t i = 0; i < 3'000; ++i) {
        const auto now = kStart + Millis{i / 10};    // workers' clocks agree to a second
        const auto source = ipv4(worker << 24U | i); // one source is in one thread
        for (unsigned port : {1U, 2U, 3U}) {
          opened += tracker.step(policy, syn(source, port, ++number), tcp(port), now).opened_count;
          const auto other =
              ipv4(0x80000000U | worker << 28U | static_cast<std::uint32_t>(random() & 0xffffffU));
          tracker.step(policy, syn(other, 1, ++number), tcp(1), now);
        }
      }
    });
  std::thread sweeper([&] {
    while (!done) tracker.sweep(policy, kStart + 300ms, 0, tracker.size());
  });
  for (auto& thread : threads) thread.join();
  done = true;
  sweeper.join();
  CHECK(opened == 12'000);
}
