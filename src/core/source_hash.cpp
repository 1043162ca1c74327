// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/source_hash.hpp>

#include <cstring>
#include <span>

#include <sodium/crypto_shorthash.h>

namespace knock {
namespace {

constexpr std::uint32_t kIpv6Tag = 1U << 16U;

/// Finalizer of splitmix64: every bit of the input moves half of the output.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

std::uint64_t siphash(const void* data, std::size_t size, const SourceHash::Key& key) {
  std::uint64_t hash = 0;
  static_assert(sizeof hash == crypto_shorthash_BYTES && sizeof key == crypto_shorthash_KEYBYTES);
  crypto_shorthash(reinterpret_cast<unsigned char*>(&hash), static_cast<const unsigned char*>(data), size,
                   key.data());
  return hash;
}

/// A Feistel network: a permutation whatever the round function is.
std::uint32_t permuted(std::uint32_t address, std::span<const std::uint64_t, 4> rounds) {
  std::uint32_t left = address >> 16U;
  std::uint32_t right = address & 0xffffU;
  for (const auto secret : rounds) {
    const auto next = left ^ static_cast<std::uint32_t>(mixed(right ^ secret) & 0xffffU);
    left = right;
    right = next;
  }
  return left << 16U | right;
}

} // namespace

SourceHash::SourceHash(unsigned bucket_bits, const Key& key) : bucket_bits_(bucket_bits), key_(key) {
  for (std::uint8_t i = 0; i < secrets_.size(); ++i) secrets_[i] = siphash(&i, sizeof i, key_);
}

SourceHash::Identity SourceHash::identify(const Address& source) const noexcept {
  const std::size_t buckets = (std::size_t{1} << bucket_bits_) - 1;
  if (source.family == Family::ipv4) {
    std::uint32_t address = 0;
    std::memcpy(&address, source.octets.data(), sizeof address);
    const auto hash = permuted(address, std::span(secrets_).first<4>());
    return {hash & buckets, hash >> bucket_bits_, hash};
  }
  const auto hash = siphash(source.octets.data(), 8, key_); // the /64
  return {static_cast<std::size_t>(hash) & buckets,
          kIpv6Tag | static_cast<std::uint32_t>(hash >> 32U & 0xffffU), hash};
}

std::uint64_t SourceHash::fingerprint(const Identity& source, const Packet& packet,
                                      Token token) const noexcept {
  const auto flow = static_cast<std::uint64_t>(token) << 32U | packet.source_port;
  return mixed(mixed(source.hash ^ secrets_[4]) ^ mixed(flow + packet.sequence * 0x9e3779b97f4a7c15ULL));
}

} // namespace knock
