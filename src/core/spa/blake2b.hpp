// SPDX-License-Identifier: GPL-2.0-or-later
/// Blake2b: BLAKE2b of joined pieces, with a key or without.
///
/// Source: RFC 7693. The length of the digest is a parameter of the hash: a short one is not the beginning of a long one.
#pragma once

#include <string_view>

#include <knock/kn1.hpp>

#include <sodium/crypto_generichash_blake2b.h>
#include <sodium/utils.h>

namespace knock::kn1 {

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

template<std::size_t Size>
class Blake2b {
 public:
  explicit Blake2b(Bytes key = {}) {
    crypto_generichash_blake2b_init(&state_, key.empty() ? nullptr : key.data(), key.size(), Size);
  }
  Blake2b(const Blake2b&) = default;
  Blake2b& operator=(const Blake2b&) = default;
  /// It may hold a key or what was hashed under one.
  ~Blake2b() { sodium_memzero(&state_, sizeof state_); }
  Blake2b& add(Bytes piece) {
    if (!piece.empty()) crypto_generichash_blake2b_update(&state_, piece.data(), piece.size());
    return *this;
  }
  Blake2b& add(std::string_view label) { return add(bytes_of(label)); }
  /// Call one of the two, once.
  void into(std::array<std::uint8_t, Size>& out) {
    crypto_generichash_blake2b_final(&state_, out.data(), Size);
  }
  /// For what is no secret: the copy that is returned through is not overwritten.
  std::array<std::uint8_t, Size> digest() {
    std::array<std::uint8_t, Size> out{};
    into(out);
    return out;
  }

 private:
  crypto_generichash_blake2b_state state_;
};

} // namespace knock::kn1
