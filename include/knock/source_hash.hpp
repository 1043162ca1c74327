// SPDX-License-Identifier: GPL-2.0-or-later
/// SourceHash: which bucket and tag a source has, and what tells one packet's copies.
///
/// In:     addresses strangers choose, and a key they do not know.
/// Source: SipHash-2-4 (libsodium) for IPv6 /64s: two given ones share bucket and tag with p <= 2^-32.
///         IPv4 goes through a keyed permutation of 32 bits: two never share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <knock/packet.hpp>
#include <knock/policy.hpp>

namespace knock {

class SourceHash {
 public:
  using Key = std::array<std::uint8_t, 16>;

  SourceHash(unsigned bucket_bits, const Key& key);

  struct Identity {
    std::size_t bucket;
    std::uint32_t tag;  ///< 17 bits, the top one the family
    std::uint64_t hash; ///< of the whole source
  };
  [[nodiscard]] Identity identify(const Address& source) const noexcept;
  /// The same for a retransmit, which keeps source port and sequence number.
  [[nodiscard]] std::uint64_t fingerprint(const Identity& source, const Packet& packet,
                                          Token token) const noexcept;

 private:
  unsigned bucket_bits_;
  Key key_;
  std::array<std::uint64_t, 5> secrets_{}; // four Feistel rounds, one for fingerprints
};

} // namespace knock
