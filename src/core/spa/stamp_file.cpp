// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/stamp_file.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace knock {
namespace {

constexpr std::string_view kStampMagic{"KN1 run\0", 8};
constexpr std::size_t kBoot = 36; // as /proc/sys/kernel/random/boot_id
constexpr std::size_t kGood = kStampHeader - sizeof(Stamp);

/// Where the bytes end, zeros follow: a file is as long as what was written.
template<class Value>
Value value_at(std::span<const std::byte> file, std::size_t offset) {
  Value value{};
  if (offset < file.size()) std::memcpy(&value, &file[offset], std::min(sizeof value, file.size() - offset));
  return value;
}

bool is_sound(const StampLine& line) {
  return std::is_sorted(line.seen.begin(), line.seen.end());
}

} // namespace

std::string_view to_string(Freshness freshness) {
  constexpr std::array<std::string_view, 6> kNames{"fresh", "age", "ahead", "replay", "floor", "state"};
  return kNames.at(static_cast<std::size_t>(freshness));
}

Freshness StampLine::judge(Stamp stamp) const {
  if (std::find(seen.begin(), seen.end(), stamp) != seen.end() && stamp != 0) return Freshness::replay;
  return stamp <= floor ? Freshness::floor : Freshness::fresh;
}

void StampLine::accept(Stamp stamp) {
  // The smallest makes room: from here on it is the floor.
  if (seen.front() != 0 && stamp < seen.front()) return raise(stamp);
  floor = std::max(floor, seen.front());
  const auto place = std::lower_bound(seen.begin() + 1, seen.end(), stamp);
  std::move(seen.begin() + 1, place, seen.begin());
  *(place - 1) = stamp;
}

void StampLine::raise(Stamp to) {
  floor = std::max(floor, to);
  for (auto& stamp : seen)
    if (stamp <= floor) stamp = 0; // they are the first
}

StampHeader encode_stamp_header(std::string_view boot, Stamp good_since) {
  StampHeader header{};
  std::memcpy(header.data(), kStampMagic.data(), kStampMagic.size());
  std::memcpy(&header[kStampMagic.size()], boot.data(), std::min(boot.size(), kBoot));
  std::memcpy(&header[kGood], &good_since, sizeof good_since);
  return header;
}

std::optional<Stamp> parse_stamp_header(std::span<const std::byte> header) {
  if (header.size() < kStampHeader || std::memcmp(header.data(), kStampMagic.data(), kStampMagic.size()) != 0)
    return std::nullopt;
  return value_at<Stamp>(header, kGood);
}

std::optional<StampRun> parse_stamp_file(std::span<const std::byte> file, std::string_view boot) {
  const auto good_since = parse_stamp_header(file);
  if (!good_since) return std::nullopt;
  const auto ours = encode_stamp_header(boot, *good_since);
  if (!std::equal(ours.begin(), ours.end(), file.begin())) return std::nullopt;
  StampRun run{*good_since, {}};
  for (std::uint32_t slot = 0; slot < kMaxStampSlots && kid_offset(slot) < file.size(); ++slot) {
    const auto kid = value_at<kn1::Kid>(file, kid_offset(slot));
    if (kid == kn1::Kid{}) continue;
    const auto line = value_at<StampLine>(file, line_offset(slot));
    if (!is_sound(line)) return std::nullopt;
    run.marks.push_back({slot, kid, line});
  }
  return run;
}

} // namespace knock
