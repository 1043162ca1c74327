// SPDX-License-Identifier: GPL-2.0-or-later
/// Noise: the first message of Noise_Npsk0_25519_ChaChaPoly_BLAKE2b, with any prologue and payload.
///
/// Source: The Noise Protocol Framework, revision 34, 5 (states), 7.4 (N), 9 (psk).
#pragma once

#include <knock/kn1.hpp>

namespace knock::kn1::noise {

/// A secret Hash, overwritten as Secret is.
struct Chain {
  Hash bytes{};

  Chain() = default;
  Chain(const Chain&) = default;
  Chain& operator=(const Chain&) = default;
  ~Chain();
};

/// What the first token makes of the psk alone: it goes into the hash and into the key.
struct AfterPsk {
  Chain key;
  Chain hash;
};
AfterPsk after_psk(const Secret& psk);

/// h just before the payload, which no DH enters.
Hash hash_before_payload(Bytes prologue, const Public& responder, const AfterPsk& psk, const Public& e);

/// The payload's key. `dh` is X25519 between e and the responder.
Secret payload_key(const AfterPsk& psk, const Public& e, const Secret& dh);

/// Returns false for a point of small order, whose product is zero.
bool x25519(const Secret& secret, const Public& point, Secret& out);
Public x25519_public(const Secret& secret);

inline constexpr std::size_t kTag = 16;

/// `out` has kTag bytes more than `payload`.
void encrypt(const Secret& key, const Hash& h, Bytes payload, std::span<std::uint8_t> out);
/// `out` has kTag bytes less than `sealed`. Returns false, and leaves zeros, for a wrong tag.
bool decrypt(const Secret& key, const Hash& h, Bytes sealed, std::span<std::uint8_t> out);

} // namespace knock::kn1::noise
