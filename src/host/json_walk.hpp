// SPDX-License-Identifier: GPL-2.0-or-later
/// JsonWalk: nft's JSON, looked into without surprises: what is not there, or of another type, is empty.
#pragma once

#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

namespace knock::host {

inline const nlohmann::json& at_or_null(const nlohmann::json& object, const char* key) {
  static const nlohmann::json kNull;
  const auto at = object.is_object() ? object.find(key) : object.end();
  return at == object.end() ? kNull : *at;
}
inline std::string_view text_of(const nlohmann::json& value) {
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>()) : "";
}
inline std::string_view word(const nlohmann::json& object, const char* key) {
  return text_of(at_or_null(object, key));
}
/// Key and value of `{"KEY": VALUE}`; null when it is none.
inline std::pair<std::string_view, const nlohmann::json*> only(const nlohmann::json& object) {
  if (!object.is_object() || object.empty()) return {"", nullptr};
  return {object.begin().key(), &*object.begin()};
}

} // namespace knock::host
