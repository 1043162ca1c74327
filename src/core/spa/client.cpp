// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1_client.hpp>

#include <algorithm>

#include <sodium/crypto_pwhash_argon2id.h>
#include <sodium/crypto_sign_ed25519.h>
#include <sodium/utils.h>

#include "core/spa/blake2b.hpp"
#include "core/spa/layout.hpp"
#include "core/spa/noise_npsk0.hpp"

namespace knock::kn1 {
namespace {

/// An Ed25519 key as libsodium wants it: seed and public key.
struct SigningKey {
  explicit SigningKey(const Secret& seed) {
    crypto_sign_ed25519_seed_keypair(pub.data(), secret.data(), seed.bytes.data());
  }
  ~SigningKey() { sodium_memzero(secret.data(), secret.size()); }
  SigningKey(const SigningKey&) = delete;
  SigningKey& operator=(const SigningKey&) = delete;

  Public pub{};
  std::array<std::uint8_t, crypto_sign_ed25519_SECRETKEYBYTES> secret{};
};

void sign(const Secret& seed, const Hash& h, Bytes m, std::span<std::uint8_t> out) {
  const SigningKey key(seed);
  const SignedText text(h, m);
  crypto_sign_ed25519_detached(out.data(), nullptr, text.text().data(), text.text().size(),
                               key.secret.data());
}

} // namespace

Public signing_public(const Secret& seed) {
  return SigningKey(seed).pub;
}

std::optional<std::size_t> smallest_size(std::size_t args, Mode mode) {
  for (const auto size : kSizes)
    if (args <= m_bytes(size - kOverhead, mode) - kRequestHead) return size;
  return std::nullopt;
}

bool seal(const Request& request, const Server& server, const Device& device, std::uint64_t ts,
          const Secret& ephemeral, std::span<std::uint8_t> packet) {
  std::fill(packet.begin(), packet.end(), std::uint8_t{0});
  if (!is_size(packet.size())) return false;
  Plain plain;
  plain.size = packet.size() - kOverhead;
  const auto m = std::span(plain.bytes).first(m_bytes(plain.size, device.mode));
  Secret dh;
  if (!encode(request, m) || !noise::x25519(ephemeral, server.pub, dh)) return false;

  const Head head{noise::x25519_public(ephemeral), device.kid, ts};
  const auto h = handshake_hash(server.pub, device.psk, device.mode, head);
  const auto whole = std::span(plain.bytes).first(plain.size);
  if (device.mode == Mode::signed_key) sign(device.seed, h, m, whole.last<kSignatureBytes>());
  const auto sealed = sealed_of(packet);
  noise::encrypt(noise::payload_key(noise::after_psk(device.psk), head.e, dh), h, whole, sealed);

  const auto bytes = encode(head);
  const auto mac = mac_over(bytes, sealed, make_mac_key(device.secret, device.mode, server.pub));
  std::copy(mac.begin(), mac.end(), mac_of(packet).begin());
  const auto hidden = pad(server, mac);
  for (std::size_t i = 0; i < bytes.size(); ++i) packet[i] = bytes[i] ^ hidden[i];
  return true;
}

std::optional<Secret> argon2id(std::string_view password, const Secret& device) {
  constexpr unsigned long long kPasses = 3;
  constexpr std::size_t kMemory = std::size_t{65'536} * 1024; // with p = 1, which is libsodium's only one
  const auto salt = Blake2b<crypto_pwhash_argon2id_SALTBYTES>(device.bytes).add("KN1 salt").digest();
  Secret out;
  if (crypto_pwhash_argon2id(out.bytes.data(), out.bytes.size(), password.data(), password.size(),
                             salt.data(), kPasses, kMemory, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
    return std::nullopt;
  return out;
}

Secret password_psk(const Secret& device, const Secret& argon2) {
  Secret psk;
  Blake2b<32>(device.bytes).add("KN1 pw ").add(argon2.bytes).into(psk.bytes);
  return psk;
}

} // namespace knock::kn1
