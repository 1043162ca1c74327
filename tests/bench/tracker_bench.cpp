// SPDX-License-Identifier: GPL-2.0-or-later
// One packet through the tracker: misses, first steps and opens, over doors and live sources; and a report through the
// whole packet path.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>

#include <knock/packet_path.hpp>

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

/// A SYN to `port` over IPv4; source and sequence number are filled in.
std::array<std::byte, 40> syn_bytes(unsigned port) {
  std::array<std::byte, 40> bytes{};
  bytes[0] = std::byte{0x45};
  bytes[3] = std::byte{40};
  bytes[9] = std::byte{6};
  bytes[22] = static_cast<std::byte>(port >> 8U);
  bytes[23] = static_cast<std::byte>(port);
  bytes[33] = std::byte{kTcpSyn};
  return bytes;
}

/// From bytes to counters, 64 reports a wake-up: the port of a first step, or of none.
void packet(benchmark::State& state) {
  PacketPath path(kTestWords, kTestKey);
  path.follow(Setup(state.range(0), 0).policy);
  std::vector<Record> completed;
  auto bytes = syn_bytes(static_cast<unsigned>(state.range(1)));
  std::mt19937 random{1};
  std::uint32_t number = 0;
  for (auto _ : state) {
    if (number++ % 64 == 0) path.wake(kNow, std::chrono::nanoseconds{0});
    const auto source = static_cast<std::uint32_t>(random()) | 0x80U; // no network of zeros
    std::memcpy(bytes.data() + 12, &source, sizeof source);
    std::memcpy(bytes.data() + 24, &number, sizeof number);
    path.read(bytes, std::chrono::nanoseconds{0}, completed);
  }
  benchmark::DoNotOptimize(path.take_counts());
}

/// A datagram of 1,372 bytes to a port with so many words, from a source that never knocked. `kind` 0: no door has a word;
/// 1: bytes at random; 2: bytes that begin words all the time.
void payload(benchmark::State& state) {
  std::vector<Sequence> doors;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    doors.push_back(sequence("d" + std::to_string(i), {}));
    const Port port{Protocol::udp, 5'000};
    const auto word = std::string(24, 'a') + std::to_string(i) + "!";
    doors.back().steps = {{state.range(1) == 0 ? PacketKind{port} : PacketKind{port, 0, {}, word}},
                          {{{Protocol::udp, static_cast<std::uint16_t>(10'000 + i)}}}};
  }
  PacketPath path(kTestWords, kTestKey);
  path.follow(*Policy::compile(doors, Millis{30'000}));
  std::vector<std::byte> bytes(1'400);
  std::mt19937 random{1};
  for (auto& byte : bytes) byte = state.range(1) == 2 ? std::byte{'a'} : static_cast<std::byte>(random());
  bytes[0] = std::byte{0x45};
  bytes[1] = std::byte{0};
  bytes[2] = bytes[24] = std::byte{0x05};
  bytes[3] = std::byte{0x78};
  bytes[6] = bytes[7] = std::byte{0};
  bytes[9] = std::byte{17};
  bytes[22] = std::byte{0x13};
  bytes[23] = std::byte{0x88};
  bytes[25] = std::byte{0x64};
  std::vector<Record> records;
  path.wake(kNow, std::chrono::nanoseconds{0});
  for (auto _ : state) {
    const auto source = static_cast<std::uint32_t>(random()) | 0x80U;
    std::memcpy(bytes.data() + 12, &source, sizeof source);
    path.read(bytes, std::chrono::nanoseconds{0}, records);
  }
}

} // namespace

BENCHMARK(payload)->ArgNames({"words", "kind"})->ArgsProduct({{1, 10'000}, {0, 1, 2}});
BENCHMARK(packet)->ArgNames({"doors", "port"})->ArgsProduct({{1, 10'000}, {65'000, 1}});
BENCHMARK(miss)->ArgNames({"doors", "sources"})->ArgsProduct({{1, 10'000}, {0, 10'000, 100'000, 1'000'000}});
BENCHMARK(first_step)->ArgNames({"doors", "sources"})->ArgsProduct({{1, 10'000}, {0, 10'000, 1'000'000}});
BENCHMARK(whole_knock)->ArgNames({"doors", "sources"})->ArgsProduct({{1, 10'000}, {0, 10'000, 1'000'000}});
BENCHMARK_MAIN();
