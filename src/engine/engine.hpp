// SPDX-License-Identifier: GPL-2.0-or-later
/// Engine: reports in, completed sequences out. The only room that reads packets of strangers.
///
/// In:      NFLOG datagrams, the policy.   Out: what was completed, as values for the keeper; numbers in a page that
///          the keeper shows, added to once a wake-up.
/// Memory:  that of PacketPath and one datagram; nothing is allocated per packet.
/// Threads: one.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include <knock/packet_path.hpp>

#include "engine/seam.hpp"

namespace knock::engine {

class Engine {
 public:
  /// Requires: `page` outlives this.
  Engine(netlink::NflogReader reader, std::uint32_t attempts, EnginePage& page);

  /// Reads what waits, at most `kFairDatagrams`, and appends every completed sequence and opened packet to `out`. Ends
  /// with the first datagram that held one: no source waits for what others sent after it. Requires: `out` is empty.
  Result<void> drain(Instant now, Records& out);
  std::optional<Instant> sweep(Instant now) { return path_.sweep(now); }
  void follow(Policy policy) { path_.follow(std::move(policy)); }
  void follow(Kn1Keys keys) { path_.follow(std::move(keys), line_of()); }
  /// Where the keeper writes which stamps it accepted.
  void set_stamps(system::Fd stamps) { stamps_ = std::make_shared<const system::Fd>(std::move(stamps)); }
  /// Other groups: the old ones are let go.
  void rebind(netlink::NflogReader reader) { reader_ = std::move(reader); }

  [[nodiscard]] int fd() const { return reader_.fd(); }
  [[nodiscard]] std::size_t attempts(Instant now) const { return path_.attempts(now); }

 private:
  static constexpr int kFairDatagrams = 64; // a flood must not starve orders and timers

  [[nodiscard]] Kn1Path::LineOf line_of() const;
  void note_refusal(std::chrono::nanoseconds wall);

  netlink::NflogReader reader_;
  PacketPath path_;
  EnginePage* page_;
  std::shared_ptr<const system::Fd> stamps_;
};

/// Runs as the engine process, confined (sandbox.hpp), until the keeper's end of the pair closes.
/// Requires: the descriptors of seam.hpp.   Returns the exit status.
int run_engine(std::uint16_t first_group, std::uint32_t attempts);

} // namespace knock::engine
