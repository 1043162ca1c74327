// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/last_good.hpp>

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

namespace knock {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kParts{"main", "doors", "users"}; // ConfigText::Part

std::optional<ConfigText> parse_text(const json& file) {
  for (const auto* key : {"file", "part", "text"})
    if (!file.is_object() || !file.contains(key) || !file[key].is_string()) return std::nullopt;
  const auto& name = file["part"].get_ref<const std::string&>();
  const auto part = std::find(kParts.begin(), kParts.end(), name);
  if (part == kParts.end()) return std::nullopt;
  return ConfigText{file["file"], file["text"], static_cast<ConfigText::Part>(part - kParts.begin())};
}

} // namespace

std::string encode_last_good(const LastGood& last) {
  json files = json::array();
  for (const auto& [file, text, part] : last.texts) {
    if (part == ConfigText::Part::keys) continue; // a key that was taken out must not come back
    files.push_back({{"file", file}, {"part", kParts.at(static_cast<std::size_t>(part))}, {"text", text}});
  }
  return json{{"schema", 1}, {"boot", last.boot}, {"files", std::move(files)}}.dump(
             1, ' ', true, json::error_handler_t::replace) +
         "\n";
}

std::optional<LastGood> parse_last_good(std::string_view text) {
  const auto whole = json::parse(text, nullptr, false);
  if (!whole.is_object() || !whole.contains("files") || !whole["files"].is_array() ||
      !whole.contains("boot") || !whole["boot"].is_string())
    return std::nullopt;
  LastGood last{whole["boot"], {}};
  for (const auto& file : whole["files"]) {
    auto parsed = parse_text(file);
    if (!parsed) return std::nullopt;
    last.texts.push_back(std::move(*parsed));
  }
  return last;
}

} // namespace knock
