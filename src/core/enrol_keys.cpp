// SPDX-License-Identifier: GPL-2.0-or-later
// Server keys between the daemon and root's knockctl.
#include <knock/enrol.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sodium/utils.h>

#include <knock/dates.hpp>

#include "core/json_text.hpp"

namespace knock {
namespace {

using nlohmann::json;

bool read_bytes(const json& from, std::span<std::uint8_t> out) {
  const auto& text = from.get_ref<const std::string&>();
  std::size_t bytes = 0;
  return sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr, &bytes, nullptr,
                           sodium_base64_VARIANT_ORIGINAL) == 0 &&
         bytes == out.size();
}

bool read_key(const json& from, ServerKey& key) {
  const auto made = parse_rfc3339(from.at("made").get_ref<const std::string&>());
  if (!made || !read_bytes(from.at("public"), key.key.server.pub) ||
      !read_bytes(from.at("hide"), key.key.server.hide.bytes))
    return false;
  key.made = *made;
  if (const auto file = from.find("file"); file != from.end()) key.place.file = file->get<std::string>();
  if (const auto& until = from.at("until"); !until.is_null()) {
    key.until = parse_rfc3339(until.get_ref<const std::string&>());
    if (!key.until) return false;
  }
  return true;
}

} // namespace

std::vector<std::string> encode_keys(std::span<const ServerKey> keys) {
  std::vector<std::string> lines;
  for (const auto& key : keys)
    lines.push_back(json_text({{"schema", 1},
                               {"made", rfc3339(key.made)},
                               {"until", key.until ? json(rfc3339(*key.until)) : json()},
                               {"public", base64_of(key.key.server.pub)},
                               {"hide", base64_of(key.key.server.hide.bytes)},
                               {"file", key.place.file}}));
  return lines;
}

// The library throws on a missing or wrong key; none of it leaves this function.
std::optional<std::vector<ServerKey>> parse_keys(std::span<const std::string> lines) try {
  std::vector<ServerKey> keys;
  for (const auto& line : lines) {
    const auto value = json::parse(line, nullptr, false);
    if (!value.is_object() || keys.size() == kMaxServerKeys || !read_key(value, keys.emplace_back()))
      return std::nullopt;
  }
  return keys;
} catch (const json::exception&) {
  return std::nullopt;
}

} // namespace knock
