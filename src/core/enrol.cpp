// SPDX-License-Identifier: GPL-2.0-or-later
// Texts of users.d and kn1.key, and what such files hold.
#include <knock/enrol.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <sodium/utils.h>

#include <knock/dates.hpp>

#include "core/config/tree.hpp"
#include "core/config/words.hpp"
#include "core/spa/blake2b.hpp"

namespace knock {
namespace {

std::string names(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& name : all) text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", name);
  return "[" + text + "]";
}

std::string prefixes(const std::vector<Prefix>& all) {
  std::vector<std::string> texts;
  for (const auto& prefix : all) texts.push_back(to_string(prefix));
  return names(texts);
}

std::string hex(const kn1::Kid& kid) {
  std::string text;
  for (const auto byte : kid.bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// What users and devices share.
template<class Some>
void add_rights(std::string& text, const Some& some) {
  if (!some.doors.empty()) text += fmt::format("doors = {}\n", names(some.doors));
  if (!some.enabled) text += "enabled = false\n";
  if (some.from) text += fmt::format("from = {}\n", rfc3339(*some.from));
  if (some.until) text += fmt::format("until = {}\n", rfc3339(*some.until));
  if (!some.sources.empty()) text += fmt::format("sources = {}\n", prefixes(some.sources));
}

/// `key = "base64"`, reserved at once: a text that grows leaves what it held.
void add_key(std::string& text, std::string_view key, std::span<const std::uint8_t> bytes,
             std::string_view behind = "\n") {
  const Sensitive encoded(base64_of(bytes));
  text.append(key).append(" = \"").append(encoded.text).append("\"").append(behind);
}

void add_old(std::string& text, const OldKey& old, Accepts accepts) {
  text += fmt::format("old = {{ kid = \"{}\", ", hex(old.key.kid));
  add_key(text, "secret", old.key.secret.bytes, ", ");
  if (old.key.public_key) add_key(text, "public", *old.key.public_key, ", ");
  if (accepts == Accepts::password) add_key(text, "psk", old.key.psk.bytes, ", ");
  text += fmt::format("until = {} }}\n", rfc3339(old.until));
}

} // namespace

Sensitive::~Sensitive() {
  sodium_memzero(text.data(), text.size());
}

std::string base64_of(std::span<const std::uint8_t> bytes) {
  std::string text(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back(); // the NUL
  return text;
}

std::string fingerprint(const kn1::Public& public_key) {
  const auto hash = kn1::Blake2b<32>().add(kn1::Bytes(public_key)).digest();
  return fmt::format("{:02x}{:02x} {:02x}{:02x} {:02x}{:02x}", hash[0], hash[1], hash[2], hash[3], hash[4],
                     hash[5]);
}

std::string user_text(const User& user) {
  auto text = fmt::format("[user.{}]\n", user.name);
  add_rights(text, user);
  return text;
}

Sensitive device_text(const Device& device) {
  constexpr std::size_t kRoom = 16'384; // more than any has: 64 doors, 64 sources
  Sensitive out;
  auto& text = out.text;
  text.reserve(kRoom);
  text += fmt::format("[user.{}.{}]\n", device.user, device.name);
  if (device.accepts != Accepts::kn1) text += fmt::format("accepts = \"{}\"\n", to_string(device.accepts));
  text += fmt::format("kid    = \"{}\"\n", hex(device.key.kid));
  add_key(text, "secret", device.key.secret.bytes);
  if (device.key.public_key) add_key(text, "public", *device.key.public_key);
  if (device.accepts == Accepts::password) add_key(text, "psk", device.key.psk.bytes);
  if (device.claim) text += fmt::format("claim = {}\n", rfc3339(*device.claim));
  add_rights(text, device);
  if (device.counter) text += "clock = \"none\"\n";
  if (!device.require_source) text += "require_source = false\n";
  if (device.for_src) text += "for_src = true\n";
  const Device usual;
  if (device.addresses != usual.addresses) text += fmt::format("addresses = {}\n", device.addresses);
  if (device.ttl_max != usual.ttl_max)
    text += fmt::format("ttl_max = \"{}\"\n", grammar::duration_text(device.ttl_max));
  if (device.openings != 0) text += fmt::format("openings = {}\n", device.openings);
  if (device.old) add_old(text, *device.old, device.accepts);
  return out;
}

Sensitive keys_text(std::span<const ServerKey> keys) {
  constexpr std::size_t kRoom = 4'096;
  Sensitive out;
  out.text.reserve(kRoom);
  out.text +=
      "# This router's secret keys: they decrypt every signed packet to it. knockctl key rotate makes a new one.\n";
  for (const auto& key : keys) {
    out.text += fmt::format("[[key]]\nmade = {}\n", rfc3339(key.made));
    add_key(out.text, "private", key.key.secret.bytes);
    add_key(out.text, "hide", key.key.server.hide.bytes);
    if (key.until) out.text += fmt::format("until = {}\n", rfc3339(*key.until));
  }
  return out;
}

std::string user_file(std::string_view user) {
  return fmt::format("{}.toml", user);
}

std::string device_file(std::string_view user, std::string_view device) {
  return fmt::format("{}.{}.toml", user, device);
}

std::optional<std::string> device_of_file(std::string_view file, std::string_view user) {
  const auto begin = fmt::format("{}.", user);
  constexpr std::string_view kEnd = ".toml";
  if (!file.starts_with(begin) || !file.ends_with(kEnd) || file.size() <= begin.size() + kEnd.size())
    return std::nullopt;
  const auto name = file.substr(begin.size(), file.size() - begin.size() - kEnd.size());
  return grammar::is_name(name) ? std::optional<std::string>(name) : std::nullopt;
}

Holds holds_of(const ConfigText& text) {
  Holds holds;
  const auto tree = grammar::parse_written(text);
  if (!tree) return {false, {}, {}, {}};
  const auto* users = tree->find("user");
  if (users == nullptr) return holds;
  const auto is_table = [](const grammar::Written& one) { return one.kind == grammar::Written::Kind::table; };
  const auto add = [&](std::vector<std::string>& names, std::string name, const grammar::Written& table) {
    holds.places.emplace_back(name, place_of(table.key_spot));
    names.push_back(std::move(name));
  };
  for (const auto& user : users->items) {
    if (user.items.empty() || !std::all_of(user.items.begin(), user.items.end(), is_table))
      add(holds.users, user.key, user);
    for (const auto& item : user.items)
      if (is_table(item)) add(holds.devices, fmt::format("{}/{}", user.key, item.key), item);
  }
  return holds;
}

std::optional<Device> device_alone(const ConfigText& text, const Outside& outside) {
  const auto holds = holds_of(text);
  if (!holds.users.empty() || holds.devices.size() != 1) return std::nullopt;
  const auto parsed = parse_config({&text, 1}, outside);
  if (!parsed.config) return std::nullopt;
  return parsed.config->users.front().devices.front();
}

bool is_user_name(std::string_view name) {
  return grammar::is_name(name);
}

std::string next_device(const Config& config, std::string_view user) {
  for (std::size_t i = 1;; ++i) {
    auto name = fmt::format("d{}", i);
    if (find_device(config, fmt::format("{}/{}", user, name)) == nullptr) return name;
  }
}

bool is_date(std::string_view text) {
  using Kind = grammar::Written::Kind;
  if (text.empty() || text.find_first_not_of("0123456789-:TZ+. ") != text.npos) return false;
  const auto tree = grammar::parse_written({"", fmt::format("until = {}\n", text), ConfigText::Part::users});
  const auto* date = tree ? tree->find("until") : nullptr;
  return date != nullptr &&
         (date->kind == Kind::date || date->kind == Kind::date_time || date->kind == Kind::moment);
}

std::vector<ServerKey> rotated(std::span<const ServerKey> keys, const ServerKey& fresh, Moment now,
                               Moment until) {
  std::vector<ServerKey> all{fresh};
  for (auto key : keys) {
    key.until = std::min(key.until.value_or(until), until);
    if (*key.until > now) all.push_back(key);
  }
  return all;
}

} // namespace knock
