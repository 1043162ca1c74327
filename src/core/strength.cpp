// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/strength.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include <knock/limits.hpp>
#include <knock/status.hpp>

namespace knock {
namespace {

constexpr double kPortBits = 16;
constexpr double kFlagBits = 6;          // which of six
constexpr double kPayload = 1'472;       // bytes that one frame of 1,500 holds behind IPv4 and a header of 8
constexpr double kLetters = 62;          // what people make words of
constexpr double kRhythmTakes = 5.0 / 3; // 75 to 125 % of a pause, as a ratio

/// What clients fill a ping with: bytes that rise by one (Linux, BSD), the alphabet again and again (Windows), one byte.
bool is_filling(std::string_view word) {
  constexpr std::string_view kWindows =
      "abcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvw";
  const auto differ_by = [&](unsigned gap) {
    for (std::size_t i = 1; i < word.size(); ++i)
      if (static_cast<std::uint8_t>(static_cast<std::uint8_t>(word[i]) -
                                    static_cast<std::uint8_t>(word[i - 1])) != gap)
        return false;
    return true;
  };
  return differ_by(0) || differ_by(1) || kWindows.find(word) != kWindows.npos;
}

/// One packet may try as many words as it has places: these bits it does not cost.
double bits_of(const PacketKind& kind) {
  double bits = is_ping(kind.port) ? 0 : kPortBits;
  if (kind.flags != 0) bits += kFlagBits;
  if (kind.length) bits += std::log2(kPayload);
  if (!kind.word.empty() && !is_filling(kind.word))
    bits += std::max(0.0, static_cast<double>(kind.word.size()) * std::log2(kLetters) - std::log2(kPayload));
  return bits;
}

} // namespace

Strength strength_of(const Sequence& sequence) {
  Strength strength;
  std::set<PacketKind> kinds;
  for (const auto& [kind, pause] : sequence.steps) {
    if (kinds.insert(kind).second) strength.steps += bits_of(kind);
    if (pause > Millis{0})
      strength.rhythm += std::log2(
          std::log(static_cast<double>(kPause.most.count()) / static_cast<double>(kPause.least.count())) /
          std::log(kRhythmTakes));
  }
  const auto count = sequence.steps.size();
  if (sequence.any_order) strength.any_order = std::lgamma(static_cast<double>(count) + 1) / std::log(2);
  if (takes_swaps(sequence)) {
    double orders = 1, before = 1; // Fibonacci: each pair of neighbours in order or swapped
    for (std::size_t i = 1; i < count; ++i) before = std::exchange(orders, orders + before);
    strength.reorder = std::log2(orders);
  }
  return strength;
}

std::string strength_text(const Sequence& sequence) {
  const auto strength = strength_of(sequence);
  auto parts = fmt::format("{:.1f} steps", strength.steps);
  const auto add = [&](std::string_view name, double bits) {
    if (bits != 0) parts += fmt::format(", {:+.1f} {}", bits, name);
  };
  add("rhythm", strength.rhythm);
  add("any order", -strength.any_order);
  add("reorder", -strength.reorder);
  return fmt::format("door {}: {} of {}, {:.1f} bits to guess ({}); whoever sees it can repeat it",
                     sequence.name, sequence.closes ? "close_knock" : "knock",
                     plural(sequence.steps.size(), "step"), strength.bits(), parts);
}

} // namespace knock
