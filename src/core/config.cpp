// SPDX-License-Identifier: GPL-2.0-or-later
// The one room that knows the TOML library.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

// The library asserts that "[" is followed by a key; what people write may say otherwise, and is an error
// then.
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_MAX_NESTED_VALUES 8 // the grammar nests two; see kMaxDots
#include <toml++/toml.h>

#include "config_parts.hpp"

namespace knock::grammar {
namespace {

// Dotted keys nest without end in the library, and its destructor recurses: a line of dots must not end us.
constexpr std::size_t kMaxDots = 500;

Spot spot_of(const toml::source_position& at, std::string_view file) {
  return {file, static_cast<std::uint32_t>(at.line), static_cast<std::uint32_t>(at.column)};
}

std::string_view odd_kind(const toml::node& node) {
  switch (node.type()) {
  case toml::node_type::floating_point: return "a float";
  case toml::node_type::date: return "a date";
  case toml::node_type::time: return "a time";
  default: return "a date and time";
  }
}

Written written(const toml::node& node, std::string_view file);

void take_table(const toml::table& table, Written& out) {
  out.kind = Written::Kind::table;
  out.text = "a table";
  for (const auto& [key, node] : table) {
    auto& item = out.items.emplace_back(written(node, out.spot.file));
    item.key = key.str();
    item.key_spot = spot_of(key.source().begin, out.spot.file);
  }
  // The library sorts by name, findings go by place.
  std::sort(out.items.begin(), out.items.end(), [](const Written& a, const Written& b) {
    return std::tie(a.key_spot.line, a.key_spot.column) < std::tie(b.key_spot.line, b.key_spot.column);
  });
}

Written written(const toml::node& node, std::string_view file) {
  Written out;
  out.spot = spot_of(node.source().begin, file);
  if (const auto* table = node.as_table()) {
    take_table(*table, out);
  } else if (const auto* array = node.as_array()) {
    out.kind = Written::Kind::array;
    out.text = "an array";
    for (const auto& entry : *array) out.items.push_back(written(entry, file));
  } else if (const auto* string = node.as_string()) {
    out.kind = Written::Kind::string;
    out.text = string->get();
  } else if (const auto* integer = node.as_integer()) {
    out.kind = Written::Kind::integer;
    out.number = integer->get();
    out.text = std::to_string(out.number);
  } else if (const auto* boolean = node.as_boolean()) {
    out.kind = Written::Kind::boolean;
    out.text = boolean->get() ? "true" : "false";
  } else {
    out.text = odd_kind(node);
  }
  return out;
}

/// The first line that nests deeper than anybody writes by hand, 0 for none.
std::uint32_t line_of_dots(std::string_view text) {
  std::uint32_t line = 1;
  std::size_t dots = 0;
  for (char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
    } else if (c == '.' && ++dots > kMaxDots) {
      return line;
    }
  }
  return 0;
}

/// The last quote of the string that begins at `at`, npos when it does not end.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool multi = text.substr(at, 3) == three;
  for (at += multi ? 3 : 1; at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      if (++at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) return std::string_view::npos;
    } else if (multi && text.substr(at, 3) == three) {
      at += 2;
      for (int more = 0; more < 2 && at + 1 < text.size() && text[at + 1] == quote; ++more) ++at;
      return at;
    } else if (!multi && (text[at] == quote || text[at] == '\n')) {
      return text[at] == quote ? at : std::string_view::npos;
    }
  }
  return std::string_view::npos;
}

/// The line of the first byte beyond ASCII outside of strings and comments, 0 for none. TOML has none there,
/// and the library (3.3) takes an undefined way on some: its table of blanks forgets U+00A1..U+0499 and
/// others.
std::uint32_t line_of_bare_letter(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3); // byte order mark
  std::uint32_t line = 1;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      ++line;
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      const auto end = end_of_string(text, at);
      if (end == std::string_view::npos) continue; // no string then, whatever the library makes of it
      line += static_cast<std::uint32_t>(std::count(&text[at], &text[end], '\n'));
      at = end;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      return line;
    }
  }
  return 0;
}

/// The text before line `line`.
std::string_view before_line(std::string_view text, std::uint32_t line) {
  std::size_t end = 0;
  for (; line > 1 && end < text.size(); --line) end = std::min(text.find('\n', end), text.size() - 1) + 1;
  return text.substr(0, end);
}

/// A door written twice in one file is a syntax error to the library, which knows the second place alone.
std::optional<Spot> first_door(const ConfigText& text, std::uint32_t line, std::string_view message) {
  const auto from = message.find("redefine existing table 'door.");
  if (from == std::string_view::npos) return std::nullopt;
  const auto before = toml::parse(before_line(text.text, line));
  if (!before) return std::nullopt;
  const auto tree = written(before.table(), text.file);
  const auto* doors = tree.find("door");
  if (doors == nullptr) return std::nullopt;
  for (const auto& door : doors->items)
    if (message.substr(from).find(fmt::format("'door.{}'", door.key)) != std::string_view::npos)
      return door.key_spot;
  return std::nullopt;
}

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kBeforeKey = " \t\n{,";

bool begins_letter(char c) {
  return (static_cast<std::uint8_t>(c) & 0xc0U) != 0x80;
}

/// The text before line and column; columns count letters, as the library does.
std::string_view before_spot(std::string_view text, const Spot& spot) {
  auto end = before_line(text, spot.line).size();
  for (std::uint32_t column = 0; end < text.size(); ++end)
    if (begins_letter(text[end]) && ++column >= spot.column) break;
  return text.substr(0, end);
}

Spot spot_behind(std::string_view before, std::string_view file) {
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const auto line = before.substr(before.rfind('\n') + 1); // npos + 1 is 0
  const auto letters = std::count_if(line.begin(), line.end(), begins_letter);
  return {file, static_cast<std::uint32_t>(lines + 1), static_cast<std::uint32_t>(letters + 1)};
}

std::string_view without_blanks_behind(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

/// A key written twice in one table: the library knows the place of its second value alone, and misspells
/// quoted keys (3.3).
std::optional<Finding> twice_finding(const ConfigText& text, const Spot& value, std::string_view message) {
  if (message.find("key-value pair: cannot redefine existing") == message.npos) return std::nullopt;
  auto before = without_blanks_behind(before_spot(text.text, value));
  if (!before.ends_with('=')) return std::nullopt;
  before = without_blanks_behind(before.substr(0, before.size() - 1));
  const bool in_quotes = before.ends_with('"') || before.ends_with('\'');
  const auto from = in_quotes ? before.rfind(before.back(), before.size() - 2)
                              : before.find_last_of(kBeforeKey) + 1; // npos + 1 is 0
  if (from >= before.size() - 1 && in_quotes) return std::nullopt;
  const auto key = before.substr(from);
  before = before.substr(0, from);
  if (key.empty()) return std::nullopt;
  for (auto at = before.rfind(key); at != before.npos;
       at = at == 0 ? before.npos : before.rfind(key, at - 1)) {
    const auto behind = before.find_first_not_of(kBlanks, at + key.size());
    const bool whole = at == 0 || kBeforeKey.find(before[at - 1]) != kBeforeKey.npos;
    if (!whole || behind == before.npos || before[behind] != '=') continue;
    const auto first = to_string(spot_behind(before.substr(0, at), text.file));
    return Finding{Finding::Level::error, place_of(spot_behind(before, text.file)),
                   fmt::format("{} stands twice, first at {}", one_line(key), first), "remove one of them"};
  }
  return std::nullopt;
}

Finding syntax_finding(const ConfigText& text, const toml::parse_error& error) {
  const auto spot = spot_of(error.source().begin, text.file);
  std::string message(error.description());
  if (message.find("utf-8") != std::string::npos)
    return {Finding::Level::error, place_of(spot), "not UTF-8", "save the file as UTF-8"};
  if (const auto first = first_door(text, spot.line, message))
    return {Finding::Level::error, place_of(spot),
            fmt::format("{}, first at {}", message.substr(message.find("cannot")), to_string(*first)),
            "rename or remove one of them"};
  if (auto twice = twice_finding(text, spot, message)) return *std::move(twice);
  if (const auto prefix = std::string_view("Error while parsing "); message.starts_with(prefix))
    message.erase(0, prefix.size());
  return {Finding::Level::error, place_of(spot), "no TOML: " + one_line(message),
          "the file is not read beyond this"};
}

} // namespace

tl::expected<Written, Finding> parse_written(const ConfigText& text) {
  if (const auto line = line_of_dots(text.text); line != 0) {
    Finding dots{Finding::Level::error, {text.file, line, 1}, {}, "break the line"};
    dots.text = fmt::format("more than {} dots in a line", kMaxDots);
    return tl::unexpected(std::move(dots));
  }
  if (const auto line = line_of_bare_letter(text.text); line != 0)
    return tl::unexpected(Finding{Finding::Level::error,
                                  {text.file, line, 1},
                                  "no TOML: a letter that is not ASCII stands outside of quotes",
                                  "put it into quotes or a comment"});
  const auto parsed = toml::parse(std::string_view(text.text));
  if (!parsed) return tl::unexpected(syntax_finding(text, parsed.error()));
  return written(parsed.table(), text.file);
}

} // namespace knock::grammar
