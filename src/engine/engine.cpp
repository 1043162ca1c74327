// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/engine.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "system/event_loop.hpp"
#include "system/process.hpp"

namespace knock::engine {
namespace {

void add(EngineCounters& page, const PacketCounts& counts) {
  page.seen.add(counts.seen);
  page.stale.add(counts.stale);
  page.cut.add(counts.cut);
  page.unparsed.add(counts.unparsed);
  page.not_step.add(counts.not_step);
  page.link_local.add(counts.link_local);
  page.step.add(counts.step);
  page.start.add(counts.start);
  page.stray.add(counts.stray);
  page.cooled.add(counts.cooled);
  page.late.add(counts.late);
  page.repeat.add(counts.repeat);
  page.evicted.add(counts.evicted);
  page.contended.add(counts.contended);
  page.opened.add(counts.opened);
  for (std::size_t i = 0; i < kKn1Fates; ++i) page.kn1.at(i).add(counts.kn1.at(i));
}

/// The most a device may make of one processor: a hundredth, and no more than ten packets a second.
Kn1Path::Pace measured_pace() {
  constexpr double kShare = 0.01, kMost = 10, kLeast = 1;
  const kn1::Secret secret; // any takes as long
  const auto key = kn1::make_server_key(secret, {});
  kn1::Plain plain;
  const std::array<std::uint8_t, kn1::kSizes.front()> packet{};
  // The fastest of some: a machine that boots is busy, and one try that had to wait would be the pace from then on.
  auto least = Instant::duration::max();
  for (int tries = 0; tries < 8; ++tries) {
    const auto begun = system::monotonic_now();
    (void)kn1::open(packet, {key.server.pub, {}, 0}, key, secret, kn1::Mode::symmetric, plain);
    least = std::min(least, system::monotonic_now() - begun);
  }
  const auto took = std::chrono::duration<double>(least).count();
  return {std::clamp(kShare / std::max(took, 1e-9), kLeast, kMost)};
}

} // namespace

Engine::Engine(netlink::NflogReader reader, std::uint32_t attempts, EnginePage& page)
    : reader_(std::move(reader)), path_(attempts, system::random_key()), page_(&page) {
  path_.set_pace(measured_pace());
}

Kn1Path::LineOf Engine::line_of() const {
  if (!stamps_) return {};
  return [stamps = stamps_](std::uint32_t slot) -> std::optional<StampLine> {
    StampLine line;
    const auto at = static_cast<off_t>(line_offset(slot));
    if (::pread(stamps->get(), &line, sizeof line, at) != sizeof line) return std::nullopt;
    return line;
  };
}

void Engine::note_refusal(std::chrono::nanoseconds wall) {
  const auto refusal = path_.take_refusal();
  if (!refusal) return;
  auto& [count, entries] = page_->refusals;
  auto& entry = entries.at(static_cast<std::size_t>(count.value() % entries.size()));
  const auto put = [](system::Counter& number, const std::uint8_t* bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes, sizeof value);
    number.set(value);
  };
  put(entry.kid, refusal->kid.bytes.data());
  entry.fate.set(static_cast<std::uint64_t>(refusal->fate));
  entry.stamp.set(refusal->stamp);
  entry.wall.set(static_cast<std::uint64_t>(wall.count()));
  entry.family.set(static_cast<std::uint64_t>(refusal->source.family));
  put(entry.high, refusal->source.octets.data());
  put(entry.low, refusal->source.octets.data() + sizeof(std::uint64_t));
  count.add(1);
}

Result<void> Engine::drain(Instant now, Records& out) {
  const auto wall = system::wall_clock();
  path_.wake(now, wall);
  path_.asked().clear();
  Result<void> drained;
  // Once something was completed, the keeper is first; what else waits wakes us again.
  for (int i = 0; i < kFairDatagrams && out.completed.empty() && path_.asked().empty(); ++i) {
    const auto reports = reader_.receive();
    if (!reports) drained = tl::unexpected(reports.error());
    if (!reports || !*reports) break;
    for (const auto& logged : **reports) {
      path_.read(logged.payload, logged.stamp, out.completed);
      note_refusal(wall);
    }
  }
  std::swap(out.kn1, path_.asked());
  add(page_->packets, path_.take_counts());
  return drained;
}

} // namespace knock::engine
