// SPDX-License-Identifier: GPL-2.0-or-later
#include "words.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include <knock/limits.hpp>

namespace knock::grammar {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 5> kDurations{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 2> kSizes{{{"KiB", 1U << 10U}, {"MiB", 1U << 20U}}};
constexpr std::size_t kMaxDigits = 9; // times a day in ms still fits 64 bits

std::optional<std::uint64_t> parse_united(std::string_view text, std::span<const Unit> units) {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parse_count(text.substr(0, digits));
  for (const auto& unit : units)
    if (count && text.substr(digits) == unit.name) return *count * unit.factor;
  return std::nullopt;
}

} // namespace

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > kMaxDigits || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_united(text, kSizes);
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && text[0] != '-' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

std::string duration_text(Millis span) {
  const auto count = static_cast<std::uint64_t>(span.count());
  if (count == 0) return "0s";
  auto unit = kDurations.begin();
  for (auto greater = unit; greater != kDurations.end(); ++greater)
    if (count % greater->factor == 0) unit = greater;
  return fmt::format("{}{}", count / unit->factor, unit->name);
}

std::string to_string(const Spot& spot) {
  return fmt::format("{}:{}:{}", spot.file, spot.line, spot.column);
}

std::string one_line(std::string_view text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7f)
      out += c;
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  return out;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 60;
  return fmt::format("\"{}{}\"", one_line(text.substr(0, kShown)), text.size() > kShown ? "..." : "");
}

} // namespace knock::grammar

namespace knock {

std::optional<Millis> parse_duration(std::string_view text) {
  const auto span = grammar::parse_united(text, grammar::kDurations);
  if (!span) return std::nullopt;
  return Millis{static_cast<std::int64_t>(*span)};
}

} // namespace knock
