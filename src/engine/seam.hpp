// SPDX-License-Identifier: GPL-2.0-or-later
/// Engine seam: everything that crosses between keeper and engine.
///
///   keeper --- Order, maybe with a descriptor ---> engine     SOCK_SEQPACKET pair
///   keeper <-- 1 to 64 records (completed.hpp) --- engine     the same; all the engine can ask for
///   keeper <~~ EnginePage ~~~~~~~~~~~~~~~~~~~~~~~ engine     shared memory; numbers the keeper shows, never trusts
#pragma once

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
    nflog,  ///< with the socket of other groups; `value` is the first
    ping,   ///< to be answered: page.answered = `value`
  };
  Kind kind = Kind::ping;
  std::uint32_t value = 0;
};

/// Kept over restarts of the engine.
using EngineCounters = PacketCounters<system::Counter>;

struct EnginePage {
  std::atomic<std::uint32_t> answered = 0; ///< the last ping; a futex wakes who waits for it
  system::Counter attempts;                ///< alive when it was answered
  EngineCounters packets;
  netlink::NflogCounters nflog;
};

} // namespace knock::engine
