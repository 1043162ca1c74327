// SPDX-License-Identifier: GPL-2.0-or-later
/// JSON on one line of printable ASCII; bytes that are no UTF-8 are replaced, so that a hostile name ends no report.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace knock {

inline std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

} // namespace knock
