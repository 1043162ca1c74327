// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spa/noise_npsk0.hpp"

#include <algorithm>

#include <sodium/crypto_aead_chacha20poly1305.h>
#include <sodium/crypto_scalarmult_curve25519.h>
#include <sodium/utils.h>

#include <knock/result.hpp>

#include "core/spa/blake2b.hpp"

namespace knock::kn1::noise {
namespace {

constexpr std::string_view kName = "Noise_Npsk0_25519_ChaChaPoly_BLAKE2b";
static_assert(kName.size() <= sizeof(Hash)); // a longer one would be hashed

/// The name, and zeros: h and ck at the start.
Hash start() {
  Hash name{};
  std::copy(kName.begin(), kName.end(), name.begin());
  return name;
}

/// HMAC-BLAKE2b-512 (RFC 2104) by one key: libsodium has none, and Noise does not use BLAKE2b's own key.
class Hmac {
 public:
  explicit Hmac(const Hash& key) {
    std::array<std::uint8_t, 128> block{}; // of BLAKE2b
    std::copy(key.begin(), key.end(), block.begin());
    for (auto& byte : block) byte ^= 0x36;
    inner_.add(block);
    for (auto& byte : block) byte ^= 0x36 ^ 0x5c;
    outer_.add(block);
    sodium_memzero(block.data(), block.size());
  }
  void into(Chain& out, Bytes one, Bytes other = {}) const {
    Chain between;
    Blake2b<64>(inner_).add(one).add(other).into(between.bytes);
    Blake2b<64>(outer_).add(between.bytes).into(out.bytes);
  }

 private:
  Blake2b<64> inner_;
  Blake2b<64> outer_;
};

constexpr std::array<std::uint8_t, 1> kFirst{1};
constexpr std::array<std::uint8_t, 1> kSecond{2};

/// Noise's HKDF. A third output would be a key that nothing is encrypted with here.
void hkdf(const Hmac& ck, Bytes input, Chain& first, Chain* second) {
  Chain temporary;
  ck.into(temporary, input);
  const Hmac by_temporary(temporary.bytes);
  by_temporary.into(first, kFirst);
  if (second != nullptr) by_temporary.into(*second, first.bytes, kSecond);
}

Hash mix(const Hash& h, Bytes data) {
  return Blake2b<64>().add(h).add(data).digest();
}

} // namespace

Chain::~Chain() {
  sodium_memzero(bytes.data(), bytes.size());
}

AfterPsk after_psk(const Secret& psk) {
  static const Hmac by_name(start());
  AfterPsk after;
  hkdf(by_name, psk.bytes, after.key, &after.hash);
  return after;
}

Hash hash_before_payload(Bytes prologue, const Public& responder, const AfterPsk& psk, const Public& e) {
  return mix(mix(mix(mix(start(), prologue), responder), psk.hash.bytes), e);
}

Secret payload_key(const AfterPsk& psk, const Public& e, const Secret& dh) {
  Chain after_e;
  Chain after_es;
  Chain key;
  hkdf(Hmac(psk.key.bytes), e, after_e, nullptr); // a psk handshake mixes e into the key, too
  hkdf(Hmac(after_e.bytes), dh.bytes, after_es, &key);
  Secret out;
  std::copy_n(key.bytes.begin(), out.bytes.size(), out.bytes.begin());
  return out;
}

bool x25519(const Secret& secret, const Public& point, Secret& out) {
  return crypto_scalarmult_curve25519(out.bytes.data(), secret.bytes.data(), point.data()) == 0;
}

Public x25519_public(const Secret& secret) {
  Public point{};
  crypto_scalarmult_curve25519_base(point.data(), secret.bytes.data());
  return point;
}

namespace {

constexpr std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> kFirstNonce{};

} // namespace

void encrypt(const Secret& key, const Hash& h, Bytes payload, std::span<std::uint8_t> out) {
  KNOCK_ASSERT(out.size() == payload.size() + kTag);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, payload.data(), payload.size(), h.data(),
                                            h.size(), nullptr, kFirstNonce.data(), key.bytes.data());
}

bool decrypt(const Secret& key, const Hash& h, Bytes sealed, std::span<std::uint8_t> out) {
  KNOCK_ASSERT(sealed.size() == out.size() + kTag);
  return crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, sealed.data(), sealed.size(),
                                                   h.data(), h.size(), kFirstNonce.data(),
                                                   key.bytes.data()) == 0;
}

} // namespace knock::kn1::noise
