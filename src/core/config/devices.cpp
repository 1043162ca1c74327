// SPDX-License-Identifier: GPL-2.0-or-later
// One device: its keys, and what they demand of each other.
#include "people.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace knock::grammar {
namespace {

void read_accepts(Reader& in, const Written& value, Device& device) {
  constexpr std::size_t kBuilt = 3; // the others come with a later version
  const auto word = in.choice(value, {"kn1", "psk", "password", "rotating", "one-time", "fwknop"});
  if (word && *word >= kBuilt)
    in.refuse(value.spot, shown(value) + " is not in this version",
              "write \"kn1\" or \"psk\" or \"password\"");
  else
    set(device.accepts, word);
}

void read_public(Reader& in, const Written& value, DeviceKey& key) {
  read_base64(in, value, key.public_key.emplace());
}

constexpr Key<OldKey> kOldKeys[] = {
    {"kid", [](Reader& in, const Written& w, OldKey& o) { read_kid(in, w, o.key.kid); }},
    {"secret", [](Reader& in, const Written& w, OldKey& o) { read_base64(in, w, o.key.secret.bytes); }},
    {"public", [](Reader& in, const Written& w, OldKey& o) { read_public(in, w, o.key); }},
    {"psk", [](Reader& in, const Written& w, OldKey& o) { read_base64(in, w, o.key.psk.bytes); }},
    {"until", [](Reader& in, const Written& w, OldKey& o) { set(o.until, in.date(w)); }},
};

void read_old(Reader& in, const Written& value, Device& device) {
  if (!in.is_table(value, "old = { kid = \"...\", secret = \"...\", until = 2026-12-24 }")) return;
  in.keys<OldKey>(value, "old", kOldKeys, {}, device.old.emplace());
}

template<class Member>
void keep_date(std::optional<Moment>& out, const Member& value) {
  if (value) out = *value;
}

using In = Reader;
using W = Written;

constexpr Key<Device> kDeviceKeys[] = {
    {"enabled", [](In& in, const W& w, Device& d) { set(d.enabled, in.boolean(w)); }},
    {"doors", [](In& in, const W& w, Device& d) { read_user_doors(in, w, d.doors); }},
    {"from", [](In& in, const W& w, Device& d) { keep_date(d.from, in.date(w)); }},
    {"until", [](In& in, const W& w, Device& d) { keep_date(d.until, in.date(w)); }},
    {"sources", [](In& in, const W& w, Device& d) { read_sources(in, w, d.sources); }},
    {"accepts", read_accepts},
    {"kid", [](In& in, const W& w, Device& d) { read_kid(in, w, d.key.kid); }},
    {"secret", [](In& in, const W& w, Device& d) { read_base64(in, w, d.key.secret.bytes); }},
    {"public", [](In& in, const W& w, Device& d) { read_public(in, w, d.key); }},
    {"psk", [](In& in, const W& w, Device& d) { read_base64(in, w, d.key.psk.bytes); }},
    {"claim", [](In& in, const W& w, Device& d) { keep_date(d.claim, in.date(w)); }},
    {"old", read_old},
    {"clock",
     [](In& in, const W& w, Device& d) {
       set(d.counter, in.choice(w, {"wall", "none"}));
     }},
    {"require_source", [](In& in, const W& w, Device& d) { set(d.require_source, in.boolean(w)); }},
    {"for_src", [](In& in, const W& w, Device& d) { set(d.for_src, in.boolean(w)); }},
    {"addresses", [](In& in, const W& w, Device& d) { set(d.addresses, in.integer(w, kAddresses)); }},
    {"ttl_max", [](In& in, const W& w, Device& d) { set(d.ttl_max, in.duration(w, kOpenFor)); }},
    {"openings", [](In& in, const W& w, Device& d) { set(d.openings, in.integer(w, kOpenings)); }},
};

constexpr LaterKey kDeviceLater[] = {
    {"list", [](In& in, const W& w) { in.path(w, kMaxPath); }, ""},
};

/// The keys of its way in, all of them and no other's. `what`: "bob/pc", "old of bob/pc".
void check_way(Reader& in, const Written& table, const std::string& what, Accepts accepts, bool invited) {
  const auto way = fmt::format("accepts = \"{}\"", to_string(accepts));
  const auto check = [&](std::string_view key, bool belongs, bool needed) {
    const auto* found = table.find(key);
    if (found != nullptr && !belongs)
      in.refuse(found->key_spot, fmt::format("{} does not go with {}", key, way), "remove one of them");
    else if (found == nullptr && needed)
      in.refuse(table.key_spot, fmt::format("{} has no {}, which {} needs", what, key, way),
                "knockctl invite writes it");
  };
  check("kid", true, true);
  check("secret", true, true);
  check("public", accepts == Accepts::kn1, accepts == Accepts::kn1 && !invited);
  check("psk", accepts == Accepts::password, accepts == Accepts::password);
  check("claim", accepts == Accepts::kn1, false);
}

void check_old(Reader& in, const Written& table, const Device& device) {
  const auto what = "old of " + device.label;
  check_way(in, table, what, device.accepts, false);
  if (table.find("until") == nullptr)
    in.refuse(table.key_spot, what + " has no until", "add until = 2026-12-24, when it ends");
}

/// The handshake mixes in D where no password made another of it.
void fill_psk(DeviceKey& key, Accepts accepts) {
  if (accepts != Accepts::password) key.psk = key.secret;
}

} // namespace

Device read_device(Reader& in, const Written& written, std::string_view user) {
  Device device;
  device.user = user;
  device.name = written.key;
  device.label = fmt::format("{}/{}", user, written.key);
  device.place = place_of(written.key_spot);
  if (!is_name(written.key))
    in.refuse(written.key_spot, fmt::format("{} is no name of a device", in_quotes(written.key)),
              "write 1 to 31 of a to z, 0 to 9 and -, no - first");
  const auto before = in.complaints();
  in.keys<Device>(written, "device " + one_line(device.label), kDeviceKeys, kDeviceLater, device);
  check_dates(in, written, device.from, device.until);
  if (in.complaints() != before) return device;
  check_way(in, written, device.label, device.accepts, true);
  if (const auto* old = written.find("old"); old != nullptr) check_old(in, *old, device);
  if (const auto* claim = written.find("claim"); claim != nullptr && device.key.public_key)
    in.refuse(claim->key_spot, fmt::format("claim does not go with public: {} has its key", device.label),
              "remove claim");
  fill_psk(device.key, device.accepts);
  if (device.old) fill_psk(device.old->key, device.accepts);
  return device;
}

} // namespace knock::grammar
