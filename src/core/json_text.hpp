// SPDX-License-Identifier: GPL-2.0-or-later
/// JSON as it stands on the control socket: one line of printable ASCII, and no text of it disturbs a terminal.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <knock/control.hpp>

namespace knock {

/// Bytes that are no UTF-8 are replaced, so that a hostile name ends no report.
inline std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

/// What another process sent: its texts as printable() shows them. A fraction is left out, so that to ask for it is an
/// error: the library would convert it whatever its size. Errors: a discarded value when it is no JSON.
inline nlohmann::json foreign_json(std::string_view text) {
  using nlohmann::json;
  const auto clean = [](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::value && value.is_number_float()) return false;
    if (event == json::parse_event_t::value && value.is_string())
      value = printable(value.get_ref<const std::string&>());
    return true;
  };
  return json::parse(text, clean, false);
}

} // namespace knock
