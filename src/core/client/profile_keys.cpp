// SPDX-License-Identifier: GPL-2.0-or-later
// NAME.key, read and written. No finding shows what stands there.
#include <knock/profile.hpp>

#include <fmt/format.h>
#include <sodium/utils.h>

#include <knock/limits.hpp>

#include "core/config/people.hpp"
#include "core/config/reader.hpp"

namespace knock::profiles {
namespace {

using grammar::Key;
using grammar::Reader;
using grammar::Written;

constexpr auto kAgain = "take the file from its backup, or join again";

void wipe(Written& written) {
  sodium_memzero(written.text.data(), written.text.size());
  for (auto& item : written.items) wipe(item);
}

/// A key in the place of a name is not shown either.
void hide_names(Written& written) {
  constexpr std::size_t kLongestName = 8;
  for (auto& item : written.items) {
    if (item.key.size() > kLongestName) {
      sodium_memzero(item.key.data(), item.key.size());
      item.key = "...";
    }
    hide_names(item);
  }
}

/// As the grammar reads a kid, which it would show.
void read_own_kid(Reader& in, const Written& value, kn1::Kid& kid) {
  std::vector<Finding> findings;
  Reader alone(findings, nullptr);
  grammar::read_kid(alone, value, kid);
  if (!findings.empty()) in.refuse(value.spot, "kid is not 16 of 0 to 9 and a to f, in quotes", kAgain);
}

constexpr Key<kn1::Server> kServerKeys[] = {
    {"public", [](Reader& in, const Written& w, kn1::Server& s) { grammar::read_base64(in, w, s.pub); }},
    {"hide", [](Reader& in, const Written& w, kn1::Server& s) { grammar::read_base64(in, w, s.hide.bytes); }},
};

void read_servers(Reader& in, const Written& value, ProfileKeys& keys) {
  if (value.kind != Written::Kind::array || value.items.empty() || value.items.size() > kMaxServerKeys)
    return in.refuse(value.spot, fmt::format("server is not an array of 1 to {} tables", kMaxServerKeys),
                     "write [[server]] above each");
  for (const auto& entry : value.items) {
    if (!in.is_table(entry, "[[server]] above it")) continue;
    in.keys<kn1::Server>(entry, "a server", kServerKeys, {}, keys.servers.emplace_back());
    if (entry.find("public") == nullptr) in.refuse(entry.spot, "a server without public", kAgain);
  }
}

using P = ProfileKeys;

constexpr Key<ProfileKeys> kKeyKeys[] = {
    {"kid", [](Reader& in, const Written& w, P& k) { read_own_kid(in, w, k.kid); }},
    {"secret", [](Reader& in, const Written& w, P& k) { grammar::read_base64(in, w, k.secret.bytes); }},
    {"seed", [](Reader& in, const Written& w, P& k) { grammar::read_base64(in, w, k.seed.emplace().bytes); }},
    {"psk", [](Reader& in, const Written& w, P& k) { grammar::read_base64(in, w, k.psk.emplace().bytes); }},
    {"server", read_servers},
};

void read_keys(Reader& in, const Written& tree, ProfileKeys& keys) {
  in.keys<ProfileKeys>(tree, "the key file (what is of no server stands above [[server]])", kKeyKeys, {},
                       keys);
  for (const auto* name : {"kid", "secret", "server"})
    if (tree.find(name) == nullptr)
      in.refuse({tree.spot.file, 0, 0}, fmt::format("the key file has no {}", name), kAgain);
  if (const auto* psk = tree.find("psk"); psk != nullptr && tree.find("seed") != nullptr)
    in.refuse(psk->key_spot, "psk does not go with seed", "remove one of them");
}

std::string hex_of(const kn1::Kid& kid) {
  std::string text;
  for (const auto byte : kid.bytes) text += fmt::format("{:02x}", byte);
  return text;
}

void add_bytes(std::string& text, std::string_view key, std::span<const std::uint8_t> bytes) {
  const Sensitive encoded(base64_of(bytes));
  text.append(key).append(" = \"").append(encoded.text).append("\"\n");
}

} // namespace
} // namespace knock::profiles

namespace knock {

ParsedProfile<ProfileKeys> parse_profile_keys(const ConfigText& text) {
  ParsedProfile<ProfileKeys> parsed;
  auto tree = grammar::parse_written(text);
  if (!tree) { // what is wrong there may be a key
    parsed.findings.push_back(
        {Finding::Level::error, tree.error().place, "no TOML, or a key twice", profiles::kAgain});
    return parsed;
  }
  profiles::hide_names(*tree);
  grammar::Reader in(parsed.findings, nullptr);
  ProfileKeys keys;
  profiles::read_keys(in, *tree, keys);
  profiles::wipe(*tree);
  if (parsed.findings.empty()) parsed.value = keys;
  return parsed;
}

Sensitive profile_keys_text(const ProfileKeys& keys) {
  constexpr std::size_t kRoom = 4'096; // in one place, so that no copy stays behind
  Sensitive out;
  auto& text = out.text;
  text.reserve(kRoom);
  text += "# Who reads this can knock as this device: mode 0600.\n";
  text += fmt::format("kid    = \"{}\"\n", profiles::hex_of(keys.kid));
  profiles::add_bytes(text, "secret", keys.secret.bytes);
  if (keys.seed) profiles::add_bytes(text, "seed  ", keys.seed->bytes);
  if (keys.psk) profiles::add_bytes(text, "psk   ", keys.psk->bytes);
  for (const auto& server : keys.servers) {
    text += "[[server]]\n";
    profiles::add_bytes(text, "public", server.pub);
    profiles::add_bytes(text, "hide  ", server.hide.bytes);
  }
  return out;
}

} // namespace knock
