// SPDX-License-Identifier: GPL-2.0-or-later
#include "reader.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <knock/nearest.hpp>

namespace knock::grammar {
namespace {

std::string kind_text(const Written& value) {
  switch (value.kind) {
  case Written::Kind::string: return "a string";
  case Written::Kind::integer: return "an integer";
  case Written::Kind::boolean: return "a boolean";
  case Written::Kind::date: return "a date";
  case Written::Kind::date_time:
  case Written::Kind::moment: return "a date and time";
  default: return value.text;
  }
}

bool says(const Written& value, std::string_view today) {
  if (value.kind == Written::Kind::array) return today == "[]" && value.items.empty();
  return !today.empty() && value.text == today;
}

std::string limits_text(std::string_view least, std::string_view most) {
  return fmt::format("write {} to {}", least, most);
}

/// As it would be written: bytes in the unit of the limits.
std::string size_text(std::uint32_t bytes) {
  return bytes % (1U << 20U) == 0 ? fmt::format("{}MiB", bytes >> 20U) : fmt::format("{}KiB", bytes >> 10U);
}

} // namespace

std::string shown(const Written& value) {
  const auto text = value.kind == Written::Kind::string ? in_quotes(value.text) : value.text;
  return value.key.empty() ? text : fmt::format("{} = {}", one_line(value.key), text);
}

std::string to_string(const Place& place) {
  return to_string(Spot{place.file, place.line, place.column});
}

void Reader::refuse(const Spot& spot, std::string text, std::string advice) {
  findings_.push_back({Finding::Level::error, place_of(spot), std::move(text), std::move(advice)});
}

bool Reader::is_kind(const Written& value, Written::Kind kind, std::string_view wanted,
                     std::string_view example) {
  if (value.kind == kind) return true;
  const auto name = value.key.empty() ? std::string("an entry") : one_line(value.key);
  refuse(value.spot, fmt::format("{} must be {}, not {}", name, wanted, kind_text(value)),
         fmt::format("write {}", example));
  return false;
}

bool Reader::is_table(const Written& value, std::string_view header) {
  return is_kind(value, Written::Kind::table, "a table", header);
}

std::optional<bool> Reader::boolean(const Written& value) {
  if (!is_kind(value, Written::Kind::boolean, "a boolean", "true or false")) return std::nullopt;
  return value.text == "true";
}

std::optional<std::int64_t> Reader::integer(const Written& value, const Count& allowed) {
  const auto [least, most] = allowed;
  const auto limits = fmt::format("{} to {}", least, most);
  if (!is_kind(value, Written::Kind::integer, "an integer", limits)) return std::nullopt;
  if (value.number >= least && value.number <= most) return value.number;
  refuse(value.spot, shown(value) + " is out of limits", "write " + limits);
  return std::nullopt;
}

std::optional<Millis> Reader::duration(const Written& value, const Span& allowed) {
  const auto [least, most] = allowed;
  constexpr auto kExample = "a whole number with ms, s, m, h or d in quotes: \"500ms\", \"10s\", \"5m\"";
  if (!is_kind(value, Written::Kind::string, "a duration", kExample)) return std::nullopt;
  const auto span = parse_duration(value.text);
  if (!span)
    refuse(value.spot, shown(value) + " is no duration", fmt::format("write {}", kExample));
  else if (*span < least || *span > most)
    refuse(value.spot, shown(value) + " is out of limits",
           limits_text(duration_text(least), duration_text(most)));
  else
    return span;
  return std::nullopt;
}

std::optional<Moment> Reader::date(const Written& value) {
  constexpr auto kExample = "write 2026-12-24 or 2026-12-24T18:00:00Z, without quotes";
  const auto name = one_line(value.key);
  if (value.kind != Written::Kind::date && value.kind != Written::Kind::date_time &&
      value.kind != Written::Kind::moment) {
    refuse(value.spot, fmt::format("{} must be a date, not {}", name, kind_text(value)), kExample);
    return std::nullopt;
  }
  if (value.number < kDates.least.count() || value.number > kDates.most.count()) {
    refuse(value.spot, shown(value) + " is out of limits", "write a date from 2000 to 2199");
    return std::nullopt;
  }
  const Seconds seconds{value.number};
  if (value.kind == Written::Kind::moment || of_local_ == nullptr) return Moment{seconds};
  return of_local_(LocalMoment{seconds});
}

std::optional<std::uint32_t> Reader::size(const Written& value, const Range<std::uint32_t>& allowed) {
  const auto [least, most] = allowed;
  constexpr auto kExample = "a whole number with KiB or MiB in quotes: \"512KiB\", \"8MiB\"";
  if (!is_kind(value, Written::Kind::string, "a size", kExample)) return std::nullopt;
  const auto bytes = parse_size(value.text);
  if (!bytes)
    refuse(value.spot, shown(value) + " is no size", fmt::format("write {}", kExample));
  else if (*bytes < least || *bytes > most)
    refuse(value.spot, shown(value) + " is out of limits", limits_text(size_text(least), size_text(most)));
  else
    return static_cast<std::uint32_t>(*bytes);
  return std::nullopt;
}

std::optional<std::string_view> Reader::string(const Written& value) {
  if (!is_kind(value, Written::Kind::string, "a string", "it in quotes")) return std::nullopt;
  return value.text;
}

std::optional<std::string> Reader::path(const Written& value, std::size_t most_bytes, bool may_be_empty) {
  const auto text = string(value);
  if (!text || (text->empty() && may_be_empty)) return text ? std::optional<std::string>("") : std::nullopt;
  const bool printable = std::none_of(
      text->begin(), text->end(), [](char c) { return static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f; });
  if (text->starts_with('/') && printable && text->size() <= most_bytes) return std::string(*text);
  if (text->size() > most_bytes)
    refuse(value.spot, fmt::format("{} is a path of {} bytes", one_line(value.key), text->size()),
           fmt::format("write at most {} bytes", most_bytes));
  else
    refuse(value.spot, shown(value) + " is no absolute path", "begin it with /");
  return std::nullopt;
}

std::optional<std::size_t> Reader::choice(const Written& value,
                                          std::initializer_list<std::string_view> words) {
  std::vector<std::string> quotes;
  for (const auto word : words) quotes.push_back(fmt::format("\"{}\"", word));
  const auto choices = fmt::format("{}", fmt::join(quotes, " or "));
  if (!is_kind(value, Written::Kind::string, "a string", choices)) return std::nullopt;
  const auto* found = std::find(words.begin(), words.end(), value.text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  refuse(value.spot, shown(value) + " is no choice", "write " + choices);
  return std::nullopt;
}

std::span<const Written> Reader::strings(const Written& value, const Range<std::size_t>& allowed) {
  const auto [least, most] = allowed;
  if (!is_kind(value, Written::Kind::array, "an array of strings", "[\"...\", \"...\"]")) return {};
  const auto count = value.items.size();
  if (count < least || count > most) {
    refuse(value.spot, fmt::format("{} has {} entries", one_line(value.key), count),
           least == most ? fmt::format("write {} of them", least)
                         : fmt::format("write {} to {} of them", least, most));
    return {};
  }
  const auto before = complaints();
  for (const auto& item : value.items) is_kind(item, Written::Kind::string, "a string", "it in quotes");
  return complaints() == before ? std::span(value.items) : std::span<const Written>{};
}

void Reader::refuse_later(const LaterKey& key, const Written& value) {
  const auto before = complaints();
  key.check(*this, value);
  if (complaints() != before || says(value, key.today)) return;
  if (key.today.empty() || key.today == "[]")
    refuse(value.key_spot, fmt::format("{} is not in this version", key.name), "remove it");
  else
    refuse(value.spot, shown(value) + " is not in this version",
           fmt::format("remove it, or write {}",
                       value.kind == Written::Kind::string ? in_quotes(key.today) : key.today));
}

void Reader::unknown(std::string_view kind, const Written& item, std::string_view what,
                     std::vector<std::string_view> known, const std::vector<std::string_view>& later) {
  const auto list = fmt::format("{}s here: {}", kind, fmt::join(known.empty() ? later : known, ", "));
  known.insert(known.end(), later.begin(), later.end());
  const auto meant = nearest(item.key, known);
  refuse(item.key_spot, fmt::format("unknown {} {} in {}", kind, in_quotes(item.key), what),
         meant.empty() ? list : fmt::format("did you mean \"{}\"? {}", meant, list));
}

} // namespace knock::grammar
