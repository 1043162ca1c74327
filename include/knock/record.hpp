// SPDX-License-Identifier: GPL-2.0-or-later
/// Record: what the engine tells the keeper: that a source completed a sequence, that it is ignored as a scanner, or what
/// a signed packet asks for. The keeper looks up ports, times and rights itself.
///
/// In:      one datagram of 1 to 64 records, as the engine sent it. Hostile: the engine reads packets of strangers.
/// Out:     what they say, or nothing when any of them is none.
///
///   record     kind (1 byte), length of what follows (2), and without gaps, numbers as this machine writes them:
///   1, 2, 3    door (8), family (1), octets (16; IPv4: the last 12 are zero), sequence (4); of a scan door and
///              sequence are zero
///   4          server (32), kid (8), e (32), ts (8), family, octets, and to its end m, of mode A with the signature
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <knock/address.hpp>
#include <knock/door_id.hpp>
#include <knock/kn1.hpp>

namespace knock {

enum class RecordKind : std::uint8_t {
  knock = 1,
  closing = 2, ///< a closing knock
  scan = 3,    ///< its stray budget is spent: it is ignored for a while
  kn1 = 4,     ///< a signed packet
};

struct Record {
  RecordKind kind = RecordKind::knock;
  DoorId door{};
  Address source;
  std::uint32_t sequence = 0; ///< index of the sequence in the policy that was live
};

/// A signed packet that was opened; whose it is, and what it may do, is the keeper's to prove.
struct Kn1Record {
  kn1::Public server{}; ///< the router's key that it was sealed for
  kn1::Head head;
  Address source; ///< of the packet
  kn1::Plain plain;
};

/// Of one datagram, or of one wake-up, in the order of the packets.
struct Records {
  std::vector<Record> completed;
  std::vector<Kn1Record> kn1;
  [[nodiscard]] bool empty() const { return completed.empty() && kn1.empty(); }
  void clear() {
    completed.clear();
    kn1.clear();
  }
};

inline constexpr std::size_t kRecordHead = 1 + 2;
inline constexpr std::size_t kRecordBytes = kRecordHead + 8 + 1 + 16 + 4;
inline constexpr std::size_t kKn1RecordHead = kRecordHead + 32 + 8 + 32 + 8 + 1 + 16;
inline constexpr std::size_t kMaxRecords = 64;            // of one datagram
inline constexpr std::size_t kMaxRecordBytes = 1U << 16U; // the same

/// Appends `record` to a datagram.
void encode(const Record& record, std::vector<std::byte>& datagram);
void encode(const Kn1Record& record, std::vector<std::byte>& datagram);

/// Appends what the records of one datagram say to `out`. Returns false, and appends nothing, when they are not 1 to
/// 64, the last one is cut short, or one of them has an unknown kind or family, a length that its kind does not have, or
/// a bit set that means nothing.
bool parse_records(std::span<const std::byte> datagram, Records& out);

} // namespace knock
