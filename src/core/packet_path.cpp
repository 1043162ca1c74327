// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/packet_path.hpp>

#include <algorithm>

namespace knock {
namespace {

constexpr Seconds kSweepEvery{60};             // two sweeps fit the circle of an attempt's clock (ticks.hpp)
constexpr std::size_t kSweepWords = 1U << 19U; // 1 ms
constexpr Seconds kStale{15}; // longer than an engine that crashed takes to be followed by another

} // namespace

void PacketPath::wake(Instant now, std::chrono::nanoseconds wall) {
  now_ = now;
  wall_ = wall;
  // A stall so long that the clock of the attempts may have gone round: they say nothing any more.
  if (next_sweep_ && now - *next_sweep_ > kSweepEvery) tracker_.carry_over(Policy().carry_over(policy_));
}

/// Nothing when it waited for too long.
std::optional<Instant> PacketPath::time_of(std::optional<std::chrono::nanoseconds> stamp) {
  const auto waited = std::max(wall_ - stamp.value_or(wall_), std::chrono::nanoseconds{0});
  if (waited > kStale) return std::nullopt;
  return latest_ = std::max(latest_, now_ - waited);
}

Fate PacketPath::read(std::span<const std::byte> packet, std::optional<std::chrono::nanoseconds> stamp,
                      std::vector<Record>& out) {
  ++counts_.seen;
  const auto at = time_of(stamp);
  if (!at) {
    ++counts_.stale;
    return {};
  }
  const auto parsed = parse_packet(packet);
  if (parsed.reason != Unparsed::none) {
    ++(parsed.reason == Unparsed::cut ? counts_.cut : counts_.unparsed);
    return {Fate::Kind::unparsed, parsed.reason};
  }
  const auto& source = parsed.packet.source;
  if (kn1_.takes(parsed.packet)) {
    const auto fate = kn1_.read(parsed.packet, now_, static_cast<Stamp>(wall_.count()), asked_);
    ++counts_.kn1.at(static_cast<std::size_t>(fate));
    // A ping that is no signed packet may be a step.
    const bool is_none = fate == Kn1Fate::length || fate == Kn1Fate::kid;
    if (!is_none || parsed.packet.protocol == Protocol::udp)
      return {Fate::Kind::kn1, Unparsed::none, parsed.packet, {}, fate};
  }
  const auto token = policy_.kinds().token_of(parsed.packet);
  // A grant for such a source would be refused, and only a hostile engine asks for one.
  if (!token || !grantable(source)) {
    const bool local = token && is_link_local(source);
    ++(local ? counts_.link_local : counts_.not_step);
    return {local ? Fate::Kind::link_local : Fate::Kind::not_step, Unparsed::none, parsed.packet};
  }
  const auto outcome = tracker_.step(policy_, parsed.packet, *token, *at);
  count(outcome);
  if (outcome.started && !next_sweep_) next_sweep_ = *at + kSweepEvery;
  for (const auto sequence : outcome.completed()) {
    const auto& ending = policy_.sequence(sequence);
    out.push_back({ending.closes ? RecordKind::closing : RecordKind::knock, ending.door, source, sequence});
  }
  if (outcome.cooled) out.push_back({RecordKind::scan, {}, source, 0});
  return {Fate::Kind::stepped, Unparsed::none, parsed.packet, outcome};
}

void PacketPath::count(const Outcome& outcome) {
  counts_.step += outcome.steps;
  counts_.late += outcome.ended;
  counts_.evicted += outcome.evicted;
  counts_.start += outcome.started ? 1 : 0;
  counts_.stray += outcome.stray ? 1 : 0;
  counts_.cooled += outcome.cooled ? 1 : 0;
  counts_.repeat += outcome.known && outcome.steps == 0 && !outcome.started ? 1 : 0;
  counts_.contended += outcome.contended ? 1 : 0;
  counts_.opened += outcome.opened_count;
}

std::optional<Instant> PacketPath::sweep(Instant now) {
  if (!next_sweep_ || *next_sweep_ > now) return next_sweep_;
  alive_ += tracker_.sweep(policy_, now, swept_, kSweepWords);
  swept_ += kSweepWords;
  if (swept_ < tracker_.size()) return now; // the next slice after whatever waits
  swept_ = 0;
  next_sweep_ = std::exchange(alive_, 0) > 0 ? std::optional(now + kSweepEvery) : std::nullopt;
  return next_sweep_;
}

void PacketPath::follow(Policy policy) {
  tracker_.carry_over(policy.carry_over(policy_));
  policy_ = std::move(policy);
}

} // namespace knock
