// SPDX-License-Identifier: GPL-2.0-or-later
// One packet through the tracker: misses, first steps and opens, over doors and live sources.
#include <benchmark/benchmark.h>

#include <random>

#include "../harness/sequences.hpp"

using namespace knock;

namespace {

const Instant kNow{Seconds{1000}};

struct Setup {
  explicit Setup(std::int64_t doors, std::int64_t sources) {
    std::vector<Sequence> sequences;
    for (std::int64_t i = 0; i < doors; ++i) {
      const auto port = static_cast<unsigned>(i);
      sequences.push_back(sequence("d" + std::to_string(i), {1 + port, 20'000 + port, 40'000 + port}));
    }
    policy = *Policy::compile(sequences, Millis{30'000});
    for (std::int64_t i = 0; i < sources; ++i) step(static_cast<std::uint32_t>(random()), 1);
  }
  Outcome step(std::uint32_t source, unsigned port) {
    return tracker.step(policy, syn(ipv4(source), port, ++number), tcp(port), kNow);
  }
  Policy policy;
  Tracker tracker{kTestWords, kTestKey};
  std::mt19937 random{1};
  std::uint32_t number = 0;
};

void miss(benchmark::State& state) {
  Setup setup(state.range(0), state.range(1));
  for (auto _ : state)
    benchmark::DoNotOptimize(setup.step(static_cast<std::uint32_t>(setup.random()), 65'000));
}

void first_step(benchmark::State& state) {
  Setup setup(state.range(0), state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(setup.step(static_cast<std::uint32_t>(setup.random()), 1));
}

void whole_knock(benchmark::State& state) {
  Setup setup(state.range(0), state.range(1));
  for (auto _ : state) {
    const auto source = static_cast<std::uint32_t>(setup.random());
    for (unsigned port : {1U, 20'000U, 40'000U}) benchmark::DoNotOptimize(setup.step(source, port));
  }
}

} // namespace

BENCHMARK(miss)->ArgNames({"doors", "sources"})->ArgsProduct({{1, 10'000}, {0, 10'000, 100'000, 1'000'000}});
BENCHMARK(first_step)->ArgNames({"doors", "sources"})->ArgsProduct({{1, 10'000}, {0, 10'000, 1'000'000}});
BENCHMARK(whole_knock)->ArgNames({"doors", "sources"})->ArgsProduct({{1, 10'000}, {0, 10'000, 1'000'000}});
BENCHMARK_MAIN();
