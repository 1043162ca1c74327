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

Engine::Engine(NflogReader reader, std::uint32_t attempts, EngineCounters& counters)
    : reader_(std::move(reader)), tracker_(attempts, random_key()), counters_(&counters) {}

Result<void> Engine::drain(Instant now, std::vector<Grant>& out) {
  for (int i = 0; i < kFairDatagrams; ++i) {
    const auto logged = reader_.receive();
    if (!logged) return tl::unexpected(logged.error());
    if (!*logged) return {};
    for (const auto& packet : **logged) read(packet.payload, now, out);
    if (!out.empty()) return {}; // the keeper first; what else waits wakes us again
  }
  return {};
}

void Engine::read(std::span<const std::byte> bytes, Instant now, std::vector<Grant>& out) {
  counters_->seen.add(1);
  const auto parsed = parse_packet(bytes);
  if (parsed.reason != Unparsed::none) {
    (parsed.reason == Unparsed::cut ? counters_->cut : counters_->unparsed).add(1);
    return;
  }
  const auto token = token_of(parsed.packet);
  // A grant for such a source would be refused, and only a hostile engine asks for one.
  if (!token || !grantable(parsed.packet.source)) {
    counters_->not_step.add(1);
    return;
  }
  const auto outcome = tracker_.step(policy_, parsed.packet, *token, now);
  counters_->step.add(outcome.steps);
  counters_->late.add(outcome.ended);
  counters_->evicted.add(outcome.evicted);
  counters_->start.add(outcome.started ? 1 : 0);
  counters_->stray.add(outcome.stray ? 1 : 0);
  counters_->cooled.add(outcome.cooled ? 1 : 0);
  counters_->repeat.add(outcome.known && outcome.steps == 0 && !outcome.started ? 1 : 0);
  counters_->contended.add(outcome.contended ? 1 : 0);
  if (outcome.started && !next_sweep_) next_sweep_ = now + kSweepEvery;
  for (const auto sequence : outcome.completed()) {
    counters_->opened.add(1);
    out.push_back({policy_.door_of(sequence), parsed.packet.source, {}, sequence});
  }
}

std::optional<Instant> Engine::sweep(Instant now) {
  if (!next_sweep_ || *next_sweep_ > now) return next_sweep_;
  alive_ += tracker_.sweep(policy_, now, swept_, kSweepWords);
  swept_ += kSweepWords;
  if (swept_ < tracker_.size()) return now; // the next slice after whatever waits
  swept_ = 0;
  next_sweep_ = std::exchange(alive_, 0) > 0 ? std::optional(now + kSweepEvery) : std::nullopt;
  return next_sweep_;
}

void Engine::follow(Policy policy) {
  tracker_.carry_over(policy.carry_over(policy_));
  policy_ = std::move(policy);
}

} // namespace knock::kernel
