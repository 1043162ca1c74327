// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/engine.hpp"

#include <algorithm>

#include <knock/packet.hpp>

#include "system/event_loop.hpp"
#include "system/process.hpp"

namespace knock::engine {
namespace {

constexpr Seconds kSweepEvery{60};             // two sweeps fit the circle of an attempt's clock (ticks.hpp)
constexpr std::size_t kSweepWords = 1U << 19U; // 1 ms
constexpr Seconds kStale{15}; // longer than an engine that crashed takes to be followed by another

} // namespace

Engine::Engine(netlink::NflogReader reader, std::uint32_t attempts, EngineCounters& counters)
    : reader_(std::move(reader)), tracker_(attempts, system::random_key()), counters_(&counters) {}

Result<void> Engine::drain(Instant now, std::vector<Completed>& out) {
  // A stall so long that the clock of the attempts may have gone round: they say nothing any more.
  if (next_sweep_ && now - *next_sweep_ > kSweepEvery) tracker_.carry_over(Policy().carry_over(policy_));
  const auto wall = system::wall_clock();
  for (int i = 0; i < kFairDatagrams; ++i) {
    const auto reports = reader_.receive();
    if (!reports) return tl::unexpected(reports.error());
    if (!*reports) return {};
    for (const auto& logged : **reports)
      if (const auto at = time_of(logged, now, wall)) read(logged.payload, *at, out);
    if (!out.empty()) return {}; // the keeper first; what else waits wakes us again
  }
  return {};
}

/// Nothing when it waited for too long.
std::optional<Instant> Engine::time_of(const wire::Logged& logged, Instant now,
                                       std::chrono::nanoseconds wall) {
  counters_->seen.add(1);
  const auto waited = std::max(wall - logged.stamp.value_or(wall), std::chrono::nanoseconds{0});
  if (waited > kStale) {
    counters_->stale.add(1);
    return std::nullopt;
  }
  latest_ = std::max(latest_, now - waited);
  return latest_;
}

void Engine::read(std::span<const std::byte> bytes, Instant at, std::vector<Completed>& out) {
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
  const auto outcome = tracker_.step(policy_, parsed.packet, *token, at);
  counters_->step.add(outcome.steps);
  counters_->late.add(outcome.ended);
  counters_->evicted.add(outcome.evicted);
  counters_->start.add(outcome.started ? 1 : 0);
  counters_->stray.add(outcome.stray ? 1 : 0);
  counters_->cooled.add(outcome.cooled ? 1 : 0);
  counters_->repeat.add(outcome.known && outcome.steps == 0 && !outcome.started ? 1 : 0);
  counters_->contended.add(outcome.contended ? 1 : 0);
  if (outcome.started && !next_sweep_) next_sweep_ = at + kSweepEvery;
  for (const auto sequence : outcome.completed()) {
    counters_->opened.add(1);
    out.push_back({policy_.door_of(sequence), parsed.packet.source, sequence});
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

} // namespace knock::engine
