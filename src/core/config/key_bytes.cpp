// SPDX-License-Identifier: GPL-2.0-or-later
// Keys as text, and kn1.key. No finding shows what stands there.
#include "people.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <sodium/utils.h>

namespace knock::grammar {

void read_base64(Reader& in, const Written& value, std::span<std::uint8_t> out) {
  const auto text = in.string(value);
  if (!text) return;
  std::size_t bytes = 0;
  // libsodium refuses what is not canonical: other padding, bits behind the last byte.
  const bool decoded = sodium_base642bin(out.data(), out.size(), text->data(), text->size(), nullptr, &bytes,
                                         nullptr, sodium_base64_VARIANT_ORIGINAL) == 0;
  if (decoded && bytes == out.size()) return;
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  in.refuse(value.spot, fmt::format("{} is not base64 of {} bytes", one_line(value.key), out.size()),
            "write it as knockctl does, with the = behind it");
}

void read_kid(Reader& in, const Written& value, kn1::Kid& kid) {
  const auto text = in.string(value);
  if (!text) return;
  std::size_t bytes = 0;
  const bool lower = text->find_first_not_of("0123456789abcdef") == text->npos;
  if (lower && text->size() == 2 * kid.bytes.size() &&
      sodium_hex2bin(kid.bytes.data(), kid.bytes.size(), text->data(), text->size(), nullptr, &bytes,
                     nullptr) == 0)
    return;
  in.refuse(value.spot, fmt::format("{} is no kid", shown(value)),
            fmt::format("write {} of 0 to 9 and a to f", 2 * kid.bytes.size()));
}

namespace {

constexpr Key<ServerKey> kServerKeys[] = {
    {"made", [](Reader& in, const Written& w, ServerKey& k) { set(k.made, in.date(w)); }},
    {"private", [](Reader& in, const Written& w, ServerKey& k) { read_base64(in, w, k.key.secret.bytes); }},
    {"hide", [](Reader& in, const Written& w, ServerKey& k) { read_base64(in, w, k.key.server.hide.bytes); }},
    {"until",
     [](Reader& in, const Written& w, ServerKey& k) {
       if (const auto until = in.date(w)) k.until = *until;
     }},
};

ServerKey read_server_key(Reader& in, const Written& entry, bool first) {
  ServerKey key;
  key.place = place_of(entry.spot);
  in.keys<ServerKey>(entry, "a key", kServerKeys, {}, key);
  for (const auto* name : {"made", "private", "hide"})
    if (entry.find(name) == nullptr)
      in.refuse(entry.spot, fmt::format("a key without {}", name), "take the file from its backup");
  const auto* until = entry.find("until");
  if (first && until != nullptr)
    in.refuse(until->key_spot, "the first key has an until: clients use it",
              "remove it, or: knockctl key rotate");
  if (!first && until == nullptr)
    in.refuse(entry.spot, "a former key without until", "add until = 2026-12-24, when it ends");
  key.key = kn1::make_server_key(key.key.secret, key.key.server.hide);
  return key;
}

} // namespace

void read_server_keys(Reader& in, const Written& tree, Config& config) {
  for (const auto& item : tree.items)
    if (item.key != "key") in.unknown("table", item, "kn1.key", {"key"}, {});
  const auto* keys = tree.find("key");
  if (keys == nullptr)
    return in.refuse({tree.spot.file, 0, 0}, "holds no [[key]]", "remove it: knockctl invite makes another");
  if (keys->kind != Written::Kind::array || keys->items.size() > kMaxServerKeys)
    return in.refuse(keys->spot, fmt::format("key is not an array of 1 to {} tables", kMaxServerKeys),
                     "write [[key]] above each");
  for (const auto& entry : keys->items) {
    if (!in.is_table(entry, "[[key]] above it")) continue;
    auto key = read_server_key(in, entry, config.server_keys.empty());
    const auto same =
        std::find_if(config.server_keys.begin(), config.server_keys.end(),
                     [&](const ServerKey& other) { return other.key.server.pub == key.key.server.pub; });
    if (same != config.server_keys.end())
      in.refuse(entry.spot, fmt::format("a key stands twice, first at {}", to_string(same->place)),
                "remove one of them");
    config.server_keys.push_back(std::move(key));
  }
}

} // namespace knock::grammar
