// SPDX-License-Identifier: GPL-2.0-or-later
/// Completed: a sequence that one source completed, and the records by which the engine tells the keeper. The keeper
/// looks up ports and times itself.
///
/// In:      one datagram of 1 to 64 records, as the engine sent it. Hostile: the engine reads packets of strangers.
/// Out:     what they say, or nothing when any of them is none.
///
///   record     kind (1 byte), then what its kind holds, without gaps; numbers as this machine writes them
///   completed  door (8), family (1), octets (16; IPv4: the last 12 are zero), sequence (4)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <knock/address.hpp>
#include <knock/door_id.hpp>

namespace knock {

/// One completed sequence of one source.
struct Completed {
  DoorId door{};
  Address source;
  std::uint32_t sequence = 0; ///< index of the sequence in the policy that was live
};

enum class RecordKind : std::uint8_t { completed = 1 };

inline constexpr std::size_t kCompletedBytes = 1 + 8 + 1 + 16 + 4;
inline constexpr std::size_t kMaxRecords = 64; // of one datagram
inline constexpr std::size_t kMaxRecordBytes = kMaxRecords * kCompletedBytes;

/// Appends `completed` as a record.
void encode(const Completed& completed, std::vector<std::byte>& datagram);

/// Appends what the records of one datagram say to `out`. Returns false, and appends nothing, when they are not 1 to
/// 64, the last one is cut short, or one of them has an unknown kind or family, or a bit set that means nothing.
bool parse_records(std::span<const std::byte> datagram, std::vector<Completed>& out);

} // namespace knock
