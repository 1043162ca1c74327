// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1.hpp>

#include <algorithm>

#include <sodium/crypto_sign_ed25519.h>
#include <sodium/crypto_verify_16.h>
#include <sodium/utils.h>

#include <knock/result.hpp>

#include "core/spa/blake2b.hpp"
#include "core/spa/layout.hpp"
#include "core/spa/noise_npsk0.hpp"

namespace knock::kn1 {

Secret::~Secret() {
  sodium_memzero(bytes.data(), bytes.size());
}

bool operator==(const Secret& one, const Secret& other) {
  return sodium_memcmp(one.bytes.data(), other.bytes.data(), one.bytes.size()) == 0;
}

Plain::~Plain() {
  sodium_memzero(bytes.data(), bytes.size());
}

Bytes Plain::m(Mode mode) const {
  return size == 0 ? Bytes{} : Bytes(bytes).first(m_bytes(size, mode));
}

Signature Plain::signature() const {
  KNOCK_ASSERT(size >= kSignatureBytes);
  return Bytes(bytes).first(size).last<kSignatureBytes>();
}

ServerKey make_server_key(const Secret& secret, const Secret& hide) {
  return {secret, {noise::x25519_public(secret), hide}};
}

Head unmask(Bytes packet, const Server& server) {
  KNOCK_ASSERT(is_size(packet.size()));
  auto bytes = pad(server, mac_of(packet));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] ^= packet[i];
  Head head;
  std::copy_n(bytes.begin(), head.e.size(), head.e.begin());
  std::copy_n(bytes.begin() + 32, head.kid.bytes.size(), head.kid.bytes.begin());
  head.ts = number_of(Bytes(bytes).last<8>());
  return head;
}

MacKey make_mac_key(const Secret& device, Mode mode, const Public& server) {
  const std::array letter{static_cast<std::uint8_t>(mode)};
  MacKey key;
  Blake2b<32>(device.bytes).add("KN1 mac1 ").add(letter).add(server).into(key.key.bytes);
  return key;
}

bool mac_fits(Bytes packet, const Head& head, const MacKey& key) {
  KNOCK_ASSERT(is_size(packet.size()));
  const auto mac = mac_over(encode(head), sealed_of(packet), key);
  return crypto_verify_16(mac.data(), mac_of(packet).data()) == 0;
}

bool open(Bytes packet, const Head& head, const ServerKey& key, const Secret& psk, Mode mode, Plain& out) {
  KNOCK_ASSERT(is_size(packet.size()));
  out.size = 0;
  Secret dh;
  if (!noise::x25519(key.secret, head.e, dh)) return false;
  const auto mixed = noise::after_psk(psk);
  const auto h = noise::hash_before_payload(prologue_of(mode, head), key.server.pub, mixed, head.e);
  const auto payload_key = noise::payload_key(mixed, head.e, dh);
  const auto size = packet.size() - kOverhead;
  if (!noise::decrypt(payload_key, h, sealed_of(packet), std::span(out.bytes).first(size))) return false;
  out.size = size;
  return true;
}

Hash handshake_hash(const Public& server, const Secret& psk, Mode mode, const Head& head) {
  return noise::hash_before_payload(prologue_of(mode, head), server, noise::after_psk(psk), head.e);
}

bool signature_fits(const Public& device, const Hash& h, Bytes m, Signature signature) {
  const SignedText text(h, m);
  return crypto_sign_ed25519_verify_detached(signature.data(), text.text().data(), text.text().size(),
                                             device.data()) == 0;
}

WireId wire_id(std::string_view door) {
  return WireId{number_of(Blake2b<8>().add("KN1 door ").add(door).digest())};
}

} // namespace knock::kn1
