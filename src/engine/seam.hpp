// SPDX-License-Identifier: GPL-2.0-or-later
/// Engine seam: everything that crosses between keeper and engine.
///
///   keeper --- Order, maybe with a descriptor ---> engine     SOCK_SEQPACKET pair
///   keeper <-- 1 to 64 records (record.hpp) --- engine     the same; all the engine can ask for
///   keeper <~~ EnginePage ~~~~~~~~~~~~~~~~~~~~~~~ engine     shared memory; numbers the keeper shows, never trusts
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <knock/packet_path.hpp>

#include "netlink/nflog.hpp"

namespace knock::engine {

/// Where an engine finds what it inherits; it can open nothing itself.
inline constexpr int kEnginePair = 3;
inline constexpr int kEnginePage = 4;
inline constexpr int kEngineNflog = 5;

struct Order {
  enum class Kind : std::uint32_t {
    policy, ///< with a sealed image (policy.hpp); the first of them lets the engine begin
    stamps, ///< with kn1.run (stamp_file.hpp), to read only
    keys,   ///< with a sealed image (kn1_keys.hpp)
    nflog,  ///< with the socket of other groups; `value` is the first
    ping,   ///< to be answered: page.answered = `value`
  };
  Kind kind = Kind::ping;
  std::uint32_t value = 0;
};

/// Kept over restarts of the engine.
using EngineCounters = PacketCounters<system::Counter>;

/// The last refusals of devices, in a ring: for who asks why. Untrusted, and maybe torn.
struct RefusalPage {
  struct Entry {
    system::Counter kid, fate, stamp, wall; ///< wall: when, in ns of the epoch
    system::Counter family, high, low;      ///< of the source, its octets as this machine reads them
  };
  system::Counter count; ///< the next goes to count % kRefusals
  std::array<Entry, 256> entries;
};

struct EnginePage {
  std::atomic<std::uint32_t> answered = 0; ///< the last ping; a futex wakes who waits for it
  system::Counter attempts;                ///< alive when it was answered
  EngineCounters packets;
  netlink::NflogCounters nflog;
  RefusalPage refusals;
};

} // namespace knock::engine
