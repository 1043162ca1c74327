// SPDX-License-Identifier: GPL-2.0-or-later
/// Completed: a sequence that one source completed. All that the engine tells the keeper, which looks up ports and
/// times itself.
///
/// In:      one datagram of records, as the engine sent it. Hostile: the engine reads packets of strangers.
/// Out:     the records, or nothing when any of them is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <knock/address.hpp>
#include <knock/door_id.hpp>

namespace knock {

/// One completed sequence of one source. Fixed size: it crosses a process boundary as it is.
struct Completed {
  DoorId door{};
  Address source;
  std::uint8_t reserved[3] = {};
  std::uint32_t sequence = 0; ///< index of the sequence in the policy that was live
};

static_assert(std::is_trivially_copyable_v<Completed> && sizeof(Completed) == 32);

inline constexpr std::size_t kMaxCompleted = 64; // of one datagram

/// Appends the 1 to 64 records of one datagram to `out`. Returns false, and appends none, when its length is
/// not that of whole records, or one of them has an unknown family or a bit set that means nothing.
bool parse_completed(std::span<const std::byte> datagram, std::vector<Completed>& out);

} // namespace knock
