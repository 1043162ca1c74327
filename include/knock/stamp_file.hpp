// SPDX-License-Identifier: GPL-2.0-or-later
/// StampFile: /run/knockgate/kn1.run, the accepted stamps of every key in this boot. The keeper writes a line before it
/// does what a packet asks for; the engine reads lines, so that a packet seen before costs it no public-key work.
///
///   header   64 bytes: "KN1 run", a zero, the boot's id (36), zeros (12), good_since (8)
///   lines    64 bytes a slot
///   kids     8 bytes a slot, behind kMaxStampSlots lines
/// Numbers as this machine writes them.
///
/// Errors:  bytes that are not ours, or of another boot, are no file. A line that was never written is all zero.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <knock/kn1.hpp>
#include <knock/limits.hpp>

namespace knock {

/// Nanoseconds of the epoch; of a key without a clock a counter.
using Stamp = std::uint64_t;

/// Why a stamp is refused; `refused_kn1_REASON`.
enum class Freshness : std::uint8_t { fresh, age, ahead, replay, floor, state };
std::string_view to_string(Freshness freshness);

struct StampLine {
  Stamp floor = 0;
  std::array<Stamp, 7> seen{}; ///< ascending; 0: none
  /// `fresh`, `replay` or `floor`.
  [[nodiscard]] Freshness judge(Stamp stamp) const;
  /// Requires: fresh.
  void accept(Stamp stamp);
  /// From here on nothing up to `floor`.
  void raise(Stamp floor);
  auto operator<=>(const StampLine&) const = default;
};
static_assert(sizeof(StampLine) == 64);

/// The line of one key, and where it stands.
struct StampMark {
  std::uint32_t slot = 0;
  kn1::Kid kid{};
  StampLine line{};
  auto operator<=>(const StampMark&) const = default;
};

struct StampRun {
  Stamp good_since = 0; ///< when the clock was found synchronised; 0: not yet
  std::vector<StampMark> marks{};
  bool operator==(const StampRun&) const = default;
};

inline constexpr std::size_t kStampHeader = 64;
constexpr std::size_t line_offset(std::uint32_t slot) {
  return kStampHeader + sizeof(StampLine) * slot;
}
constexpr std::size_t kid_offset(std::uint32_t slot) {
  return line_offset(kMaxStampSlots) + sizeof(kn1::Kid) * slot;
}
inline constexpr std::size_t kMaxStampFile = kid_offset(kMaxStampSlots);

using StampHeader = std::array<std::byte, kStampHeader>;
StampHeader encode_stamp_header(std::string_view boot, Stamp good_since);
/// When the clock was good, by the header alone. Nothing: not ours.
std::optional<Stamp> parse_stamp_header(std::span<const std::byte> header);
/// `boot`: of another one nothing counts.
std::optional<StampRun> parse_stamp_file(std::span<const std::byte> file, std::string_view boot);

} // namespace knock
