// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/engine.hpp"

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
}

} // namespace

Engine::Engine(netlink::NflogReader reader, std::uint32_t attempts, EngineCounters& counters)
    : reader_(std::move(reader)), path_(attempts, system::random_key()), counters_(&counters) {}

Result<void> Engine::drain(Instant now, std::vector<Completed>& out) {
  path_.wake(now, system::wall_clock());
  Result<void> drained;
  // Once something was completed, the keeper is first; what else waits wakes us again.
  for (int i = 0; i < kFairDatagrams && out.empty(); ++i) {
    const auto reports = reader_.receive();
    if (!reports) drained = tl::unexpected(reports.error());
    if (!reports || !*reports) break;
    for (const auto& logged : **reports) path_.read(logged.payload, logged.stamp, out);
  }
  add(*counters_, path_.take_counts());
  return drained;
}

} // namespace knock::engine
