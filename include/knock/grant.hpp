// SPDX-License-Identifier: GPL-2.0-or-later
/// Grant: what the engine asks of the keeper, and nothing more. The keeper looks ports and times up itself.
///
/// In:      one datagram of records, as the engine sent it. Hostile: the engine reads packets of strangers.
/// Out:     the records, or nothing when any of them is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <knock/address.hpp>

namespace knock {

/// 64-bit FNV-1a of a door's name: the same over reloads and restarts.
enum class DoorId : std::uint64_t {};

constexpr DoorId door_id(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  return DoorId{hash};
}

/// One completed sequence of one source. Fixed size: it crosses a process boundary as it is.
struct Grant {
  DoorId door{};
  Address source;
  std::uint8_t reserved[3] = {};
  std::uint32_t sequence = 0; ///< index of the sequence in the policy that was live
};

static_assert(std::is_trivially_copyable_v<Grant> && sizeof(Grant) == 32);

inline constexpr std::size_t kMaxGrants = 64; // of one datagram

/// Appends the 1 to 64 records of one datagram to `out`. Returns false, and appends none, when its length is
/// not that of whole records, or one of them has an unknown family or a bit set that means nothing.
bool parse_grants(std::span<const std::byte> datagram, std::vector<Grant>& out);

} // namespace knock
