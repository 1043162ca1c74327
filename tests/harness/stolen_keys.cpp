// SPDX-License-Identifier: GPL-2.0-or-later
#include "stolen_keys.hpp"

#include <algorithm>

#include <sodium/crypto_sign_ed25519.h>

#include <knock/kn1_client.hpp>

#include "core/spa/layout.hpp"

namespace knock::engine {
namespace {

void put_door(std::string_view name, Kn1Record& record) {
  kn1::put_number(static_cast<std::uint64_t>(kn1::wire_id(name)), std::span(record.plain.bytes).first(8));
}

std::vector<Kn1Record> altered(const Kn1Record& honest) {
  std::vector<Kn1Record> all(honest.plain.size, honest);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].plain.bytes.at(i) ^= 0x10U;
  return all;
}

/// A device whose own record would be as good is left out.
std::vector<Kn1Record> of_others(const Kn1Record& honest, const Kn1Keys& keys) {
  std::vector<Kn1Record> all(6, honest);
  ++all[0].head.ts;
  --all[1].head.ts;
  all[2].head.ts += 10'000'000'000;
  all[3].head.e[0] ^= 1U;
  all[4].head.e = {};
  all[5].server = honest.head.e;
  for (const auto& device : keys.devices)
    if (device.kid != honest.head.kid && device.mode == kn1::Mode::signed_key)
      all.emplace_back(honest).head.kid = device.kid;
  for (const auto& server : keys.servers)
    if (server.server.pub != honest.server) all.emplace_back(honest).server = server.server.pub;
  return all;
}

std::vector<Kn1Record> from_elsewhere(const Kn1Record& honest) {
  std::vector<Kn1Record> all;
  for (const char* source : {"203.0.113.66", "203.0.113.10", "2001:db8:66::66", "198.51.100.7"})
    all.emplace_back(honest).source = *parse_address(source);
  return all;
}

std::vector<Kn1Record> for_doors(const Kn1Record& honest) {
  std::vector<Kn1Record> all;
  for (const char* door : {"web", "nas", "nosuch"}) put_door(door, all.emplace_back(honest));
  return all;
}

std::vector<Kn1Record> of_sizes(const Kn1Record& honest) {
  std::vector<Kn1Record> all;
  for (const std::size_t size : {std::size_t{240}, std::size_t{496}, std::size_t{1'008}})
    if (size != honest.plain.size) all.emplace_back(honest).plain.size = size;
  return all;
}

/// Whether the device signs or not, it is asked for in its name.
std::vector<Kn1Record> forged(const Kn1Record& honest, const Kn1Keys& keys) {
  std::vector<Kn1Record> all;
  kn1::Public pub;
  std::array<std::uint8_t, crypto_sign_ed25519_SECRETKEYBYTES> own{};
  const std::array<std::uint8_t, 32> seed{7};
  crypto_sign_ed25519_seed_keypair(pub.data(), own.data(), seed.data());
  for (const auto& device : keys.devices) {
    Kn1Record record;
    record.server = honest.server;
    record.head = {honest.head.e, device.kid, honest.head.ts + 1'000'000'000};
    record.source = *parse_address("203.0.113.66");
    record.plain.size = kn1::kSizes.front() - kn1::kOverhead;
    put_door("ssh", record);
    record.plain.bytes[8] = static_cast<std::uint8_t>(kn1::Op::open);
    if (device.mode == kn1::Mode::symmetric) {
      all.push_back(record);
      continue;
    }
    const auto m = record.plain.m(kn1::Mode::signed_key);
    const auto signature = record.plain.bytes.begin() + static_cast<std::ptrdiff_t>(m.size());
    all.push_back(record); // of zeros: y = 0
    *signature = 1;        // R the neutral point, S zero
    all.push_back(record);
    const auto hash = kn1::handshake_hash(record.server, device.psk, device.mode, record.head);
    const auto text = kn1::SignedText(hash, m);
    crypto_sign_ed25519_detached(&*signature, nullptr, text.text().data(), text.text().size(), own.data());
    all.push_back(record);
  }
  return all;
}

} // namespace

void StolenKeys::take(std::span<const std::byte> image) {
  if (auto keys = Kn1Keys::decode(image)) keys_ = std::move(*keys);
}

bool StolenKeys::capture(const Packet& packet) {
  const kn1::Bytes bytes{reinterpret_cast<const std::uint8_t*>(packet.payload.data()), packet.payload.size()};
  if (!kn1::is_size(bytes.size())) return false;
  for (const auto& server : keys_.servers) {
    const auto head = kn1::unmask(bytes, server.server);
    for (const auto& device : keys_.devices) {
      Kn1Record record{server.server.pub, head, packet.source, {}};
      if (device.kid != head.kid || !kn1::open(bytes, head, server, device.psk, device.mode, record.plain))
        continue;
      last_ = record;
      return true;
    }
  }
  return false;
}

std::vector<Kn1Record> StolenKeys::records(unsigned act) const {
  if (!last_) return {};
  switch (act) {
  case 1030: return {*last_};
  case 1031: return altered(*last_);
  case 1032: return of_others(*last_, keys_);
  case 1033: return from_elsewhere(*last_);
  case 1034: return for_doors(*last_);
  case 1035: return of_sizes(*last_);
  case 1036: return forged(*last_, keys_);
  default: return {};
  }
}

} // namespace knock::engine
