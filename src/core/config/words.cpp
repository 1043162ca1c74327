// SPDX-License-Identifier: GPL-2.0-or-later
#include "words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include <knock/address.hpp>
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

/// A whole number without sign or leading zero, that is all of `text`.
std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > kMaxDigits || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_united(std::string_view text, std::span<const Unit> units) {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parse_count(text.substr(0, digits));
  for (const auto& unit : units)
    if (count && text.substr(digits) == unit.name) return *count * unit.factor;
  return std::nullopt;
}

/// "syn+fin": some of the six, each once.
bool are_flags(std::string_view text) {
  std::vector<std::string_view> left{"fin", "syn", "rst", "psh", "ack", "urg"};
  for (;;) {
    const auto plus = std::min(text.find('+'), text.size());
    if (std::erase(left, text.substr(0, plus)) != 1) return false;
    if (plus == text.size()) return true;
    text.remove_prefix(plus + 1);
  }
}

} // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_united(text, kSizes);
}

std::optional<WrittenStep> parse_step(std::string_view text) {
  WrittenStep step;
  if (text.starts_with("pause ")) {
    const auto pause = parse_duration(text.substr(6));
    if (!pause || *pause < kPause.least || *pause > kPause.most) return std::nullopt;
    step.pause = *pause;
    step.later = "a pause";
    return step;
  }
  if (const auto space = text.find(' '); space != std::string_view::npos) {
    const auto times = text.substr(space + 1);
    const auto count = parse_count(times.substr(std::min<std::size_t>(1, times.size())));
    if (!times.starts_with('x') || !count || *count < 1 || *count > kRepeats.most) return std::nullopt;
    step.later = "a repeat";
    text = text.substr(0, space);
  }
  if (text == "icmp" || text == "icmp6") {
    step.later = "an ICMP step";
    return step;
  }
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    if (!text.starts_with("tcp/") || !are_flags(text.substr(colon + 1))) return std::nullopt;
    step.later = "a step with flags";
    text = text.substr(0, colon);
  }
  step.port = parse_port(text);
  if (!step.port) return std::nullopt;
  return step;
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
