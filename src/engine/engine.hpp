// SPDX-License-Identifier: GPL-2.0-or-later
/// Engine: reports in, Grant values out. The only room that reads packets of strangers.
///
/// In:      NFLOG datagrams, the policy.   Out: what was completed, as values for the keeper.
/// Memory:  the tracker's table and one datagram; nothing is allocated per packet.
/// Threads: one.
/// Time:    a report's is the kernel's own (wire::Logged::stamp), so `within` holds over a stall: of the engine,
///          of the keeper that it waits for, of the machine. What waited longer than 15 s is thrown away and
///          counted (`stale`): a knock opens within 15 s or not. A report without a stamp counts as of the
///          wake-up that read it.
#pragma once

#include <optional>
#include <vector>

#include <knock/policy.hpp>
#include <knock/tracker.hpp>

#include "engine/seam.hpp"

namespace knock::engine {

class Engine {
 public:
  /// Requires: `counters` outlives this.
  Engine(netlink::NflogReader reader, std::uint32_t attempts, EngineCounters& counters);

  /// Reads what waits, at most `kFairDatagrams`, and appends every completed sequence to `out`. Ends with the
  /// first datagram that completed one: whoever knocks waits for nobody behind him.
  Result<void> drain(Instant now, std::vector<Completed>& out);
  /// Frees attempts that ended. Returns when to call again; nothing while no source is knocking.
  std::optional<Instant> sweep(Instant now);
  /// Follows `policy` from now on; attempts move to the paths that both policies have.
  void follow(Policy policy);
  /// Other groups: the old ones are let go.
  void rebind(netlink::NflogReader reader) { reader_ = std::move(reader); }

  [[nodiscard]] int fd() const { return reader_.fd(); }
  [[nodiscard]] std::size_t attempts(Instant now) const { return tracker_.attempts(policy_, now); }

 private:
  static constexpr int kFairDatagrams = 64; // a flood must not starve orders and timers

  std::optional<Instant> time_of(const wire::Logged& logged, Instant now, std::chrono::nanoseconds wall);
  void read(std::span<const std::byte> bytes, Instant at, std::vector<Completed>& out);

  netlink::NflogReader reader_;
  Tracker tracker_;
  Policy policy_;
  EngineCounters* counters_;
  Instant latest_{};                  // of all reports: time never goes back
  std::optional<Instant> next_sweep_; // absent while no attempt lives: idle means no wake-up
  std::size_t swept_ = 0;             // words of the sweep under way
  std::size_t alive_ = 0;             // found by it
};

/// Runs as the engine process, confined (sandbox.hpp), until the keeper's end of the pair closes.
/// Requires: the descriptors of engine_seam.hpp.   Returns the exit status.
int run_engine(std::uint16_t first_group, std::uint32_t attempts);

} // namespace knock::engine
