// SPDX-License-Identifier: GPL-2.0-or-later
/// Engine: reports in, Grant values out. The only room that reads packets of strangers.
///
/// In:      NFLOG datagrams, the policy.   Out: what was completed, as values for the keeper.
/// Memory:  the tracker's table and one datagram; nothing is allocated per packet.
/// Threads: one.
#pragma once

#include <vector>

#include <knock/grant.hpp>
#include <knock/policy.hpp>
#include <knock/tracker.hpp>

#include "kernel/netfilter.hpp"

namespace knock::kernel {

/// Packets by what became of them; under these names in `knockctl --json`.
struct EngineCounters {
  std::uint64_t seen = 0;
  std::uint64_t cut = 0;      ///< `short`
  std::uint64_t unparsed = 0; ///< fragments, foreign headers
  std::uint64_t not_step = 0;
  std::uint64_t step = 0;
  std::uint64_t start = 0;
  std::uint64_t stray = 0;
  std::uint64_t cooled = 0;
  std::uint64_t late = 0;
  std::uint64_t repeat = 0;
  std::uint64_t evicted = 0;
  std::uint64_t contended = 0;
  std::uint64_t opened = 0;
};

class Engine {
 public:
  Engine(NflogReader reader, std::uint32_t attempts);

  /// Reads what waits, at most `kFairDatagrams`, and appends every completed sequence to `out`.
  Result<void> drain(const Policy& policy, Instant now, std::vector<Grant>& out);
  /// Frees attempts that ended. Returns when to call again; nothing while no source is knocking.
  std::optional<Instant> sweep(const Policy& policy, Instant now);
  /// Carries attempts over to the paths that both policies have.
  void swap_policy(const Policy& old_policy, const Policy& new_policy);
  /// Other groups: the old ones are let go.
  void rebind(NflogReader reader) { reader_ = std::move(reader); }

  [[nodiscard]] const NflogReader& reader() const { return reader_; }
  [[nodiscard]] const EngineCounters& counters() const { return counters_; }
  [[nodiscard]] const Tracker& tracker() const { return tracker_; }

 private:
  static constexpr int kFairDatagrams = 64; // a flood must not starve control requests and timers

  void read(const Policy& policy, std::span<const std::byte> bytes, Instant now, std::vector<Grant>& out);

  NflogReader reader_;
  Tracker tracker_;
  EngineCounters counters_;
  std::optional<Instant> next_sweep_; // absent while no attempt lives: idle means no wake-up
  std::size_t swept_ = 0;             // words of the sweep under way
  std::size_t alive_ = 0;             // found by it
};

} // namespace knock::kernel
