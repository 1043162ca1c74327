// SPDX-License-Identifier: GPL-2.0-or-later
/// KN1: what one signed packet asks, and how it is hidden, opened and checked. The format is in knockgate-kn1(7).
///
/// In:      packets of strangers, keys.   Out: what a packet proves, or no.
/// Parts:   the engine unmasks, tests mac1 and opens; the keeper makes the handshake hash anew and verifies; the client
///          seals (kn1_client.hpp).
/// Memory:  nothing is allocated; what is secret is overwritten when it leaves scope, and never decides a branch.
/// Threads: all functions are pure. The program calls sodium_init() once, which picks the fastest code.
/// Time:    stamps are numbers here.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <knock/address.hpp>
#include <knock/time.hpp>
#include <tl/expected.hpp>

namespace knock::kn1 {

using Bytes = std::span<const std::uint8_t>;
using Public = std::array<std::uint8_t, 32>; ///< X25519 or Ed25519
using Hash = std::array<std::uint8_t, 64>;
using Signature = std::span<const std::uint8_t, 64>;

/// 32 secret bytes, as a private key: overwritten at its end, each copy at its own.
struct Secret {
  std::array<std::uint8_t, 32> bytes{};

  Secret() = default;
  explicit Secret(const std::array<std::uint8_t, 32>& from) : bytes(from) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret();
  /// In a time that does not depend on the bytes.
  friend bool operator==(const Secret& one, const Secret& other);
};

/// Which device; 8 random bytes, never used again.
struct Kid {
  std::array<std::uint8_t, 8> bytes{};
  auto operator<=>(const Kid&) const = default;
};

/// How a device proves itself; the letter is in the Noise prologue.
enum class Mode : char { signed_key = 'A', symmetric = 'S' };

inline constexpr std::array<std::size_t, 4> kSizes{192, 320, 576, 1088};
inline constexpr std::size_t kOverhead = 48 + 16 + 16; // head, mac1, the tag of the payload
inline constexpr std::size_t kSignatureBytes = 64;
inline constexpr std::size_t kMaxPlain = kSizes.back() - kOverhead; // m, and in mode A its signature
inline constexpr std::size_t kRequestHead = 32;                     // m before the arguments

constexpr bool is_size(std::size_t bytes) {
  for (const auto size : kSizes)
    if (bytes == size) return true;
  return false;
}

/// What a client knows of a router.
struct Server {
  Public pub{};
  Secret hide; ///< all zero: a public server
  bool operator==(const Server&) const = default;
};

struct ServerKey {
  Secret secret;
  Server server;
};

ServerKey make_server_key(const Secret& secret, const Secret& hide);

/// The first 48 bytes of a packet.
struct Head {
  Public e{}; ///< X25519, a new one per packet
  Kid kid;
  std::uint64_t ts = 0; ///< nanoseconds since 1970, or a counter
};

/// Of any bytes of a packet's size: one short hash, whatever the size. Requires: is_size(packet.size()).
Head unmask(Bytes packet, const Server& server);

/// Made once per device and server key.
struct MacKey {
  Secret key;
};
MacKey make_mac_key(const Secret& device, Mode mode, const Public& server);

/// Whether a holder of the device's secret made this packet, for this server key. Requires: as `unmask`.
bool mac_fits(Bytes packet, const Head& head, const MacKey& key);

/// What was in a packet.
struct Plain {
  std::array<std::uint8_t, kMaxPlain> bytes{};
  std::size_t size = 0;

  Plain() = default;
  Plain(const Plain&) = default;
  Plain& operator=(const Plain&) = default;
  ~Plain();
  [[nodiscard]] Bytes m(Mode mode) const;
  /// Requires: mode A.
  [[nodiscard]] Signature signature() const;
};

/// One DH and one AEAD. `psk` is the device's secret; of a device with a password what `password_psk` makes of it.
/// Returns false, and leaves `out` empty, for a point of small order or a wrong tag. Requires: as `unmask`.
bool open(Bytes packet, const Head& head, const ServerKey& key, const Secret& psk, Mode mode, Plain& out);

/// The Noise hash that the signature covers. It needs no DH, so who cannot open a packet can make it all the same.
Hash handshake_hash(const Public& server, const Secret& psk, Mode mode, const Head& head);

/// Ed25519 as libsodium has it: S < L, no point of small order, none but canonical ones.
/// Requires: m of at most kMaxPlain bytes.
bool signature_fits(const Public& device, const Hash& h, Bytes m, Signature signature);

/// A door in a packet: BLAKE2b-64 of its name.
enum class WireId : std::uint64_t {};
WireId wire_id(std::string_view door);

enum class Op : std::uint8_t { open = 1, close = 2, refresh = 3, run = 4 };
enum class Flag : std::uint8_t {
  unbound = 0, ///< the source of the packet is meant
  bound = 1,   ///< to `src`, where the packet must come from
  for_src = 2, ///< `src` is meant, wherever the packet comes from
};

struct Request {
  WireId door{};
  Op op = Op::open;
  Flag flag = Flag::unbound;
  Seconds ttl{};              ///< 0: the door's own
  std::optional<Address> src; ///< none when unbound
  Bytes args;                 ///< of `run`; a view of what was parsed
};

enum class Malformed : std::uint8_t { op, form };

/// Reads m. The operation is looked at first.
tl::expected<Request, Malformed> parse_request(Bytes m);

} // namespace knock::kn1
