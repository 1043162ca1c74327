// SPDX-License-Identifier: GPL-2.0-or-later
/// Written: what a config file says, with the place of every word. The grammar reads this, never TOML.
///
/// In:     one text.   Out: a tree in the order of the file, or why it is no TOML.
/// Memory: copies of keys and values; places point at the name of the ConfigText they came from.
/// Source: https://toml.io/en/v1.0.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include <knock/config.hpp>

namespace knock::grammar {

/// A Place that borrows the file's name.
struct Spot {
  std::string_view file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

inline Place place_of(const Spot& spot) {
  return {std::string(spot.file), spot.line, spot.column};
}

struct Written {
  enum class Kind : std::uint8_t { table, array, string, integer, boolean, date, date_time, moment, other };
  Kind kind = Kind::other;
  Spot spot;       ///< of the value
  std::string key; ///< its name in the table around it; empty for entries of an array
  Spot key_spot;
  std::string text; ///< string: what it says; number, boolean, date: as text; else the kind with its article
  /// Of an integer. Of a date (it begins then) and a date with a time: seconds on the clock on the wall; of a moment, which
  /// names its offset: of the epoch.
  std::int64_t number = 0;
  std::vector<Written> items; ///< entries of an array, keys of a table

  [[nodiscard]] const Written* find(std::string_view name) const {
    for (const auto& item : items)
      if (item.key == name) return &item;
    return nullptr;
  }
};

tl::expected<Written, Finding> parse_written(const ConfigText& text);

} // namespace knock::grammar
