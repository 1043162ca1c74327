// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/engine.hpp"

#include <algorithm>

#include <knock/packet.hpp>

#include "kernel/process.hpp"

namespace knock::kernel {
namespace {

constexpr Seconds kSweepEvery{60};             // two sweeps fit the circle of an attempt's clock (ticks.hpp)
constexpr std::size_t kSweepWords = 1U << 19U; // 1 ms

} // namespace

Engine::Engine(NflogReader reader, std::uint32_t attempts)
    : reader_(std::move(reader)), tracker_(attempts, random_key()) {}

Result<void> Engine::drain(const Policy& policy, Instant now, std::vector<Grant>& out) {
  for (int i = 0; i < kFairDatagrams; ++i) {
    const auto logged = reader_.receive();
    if (!logged) return tl::unexpected(logged.error());
    if (!*logged) return {};
    for (const auto& packet : **logged) read(policy, packet.payload, now, out);
  }
  return {};
}

void Engine::read(const Policy& policy, std::span<const std::byte> bytes, Instant now,
                  std::vector<Grant>& out) {
  ++counters_.seen;
  const auto parsed = parse_packet(bytes);
  if (parsed.reason != Unparsed::none) {
    ++(parsed.reason == Unparsed::cut ? counters_.cut : counters_.unparsed);
    return;
  }
  const auto token = token_of(parsed.packet);
  if (!token) {
    ++counters_.not_step;
    return;
  }
  const auto outcome = tracker_.step(policy, parsed.packet, *token, now);
  counters_.step += outcome.steps;
  counters_.late += outcome.ended;
  counters_.evicted += outcome.evicted;
  counters_.start += outcome.started ? 1 : 0;
  counters_.stray += outcome.stray ? 1 : 0;
  counters_.cooled += outcome.cooled ? 1 : 0;
  counters_.repeat += outcome.known && outcome.steps == 0 && !outcome.started ? 1 : 0;
  counters_.contended += outcome.contended ? 1 : 0;
  if (outcome.started && !next_sweep_) next_sweep_ = now + kSweepEvery;
  for (const auto sequence : outcome.completed()) {
    ++counters_.opened;
    out.push_back({policy.door_of(sequence), parsed.packet.source, {}, sequence});
  }
}

std::optional<Instant> Engine::sweep(const Policy& policy, Instant now) {
  if (!next_sweep_ || *next_sweep_ > now) return next_sweep_;
  alive_ += tracker_.sweep(policy, now, swept_, kSweepWords);
  swept_ += kSweepWords;
  if (swept_ < tracker_.size()) return now; // the next slice after whatever waits
  swept_ = 0;
  next_sweep_ = std::exchange(alive_, 0) > 0 ? std::optional(now + kSweepEvery) : std::nullopt;
  return next_sweep_;
}

void Engine::swap_policy(const Policy& old_policy, const Policy& new_policy) {
  tracker_.carry_over(new_policy.carry_over(old_policy));
}

} // namespace knock::kernel
