// SPDX-License-Identifier: GPL-2.0-or-later
/// KN1, the client's half: seal a packet, answer an invite, make a password a key.
///
/// In:      a request, a device's keys; stamp and ephemeral key from the caller, who has clock and randomness.
/// Memory:  nothing is allocated, but by `argon2id`: 64 MiB for a quarter of a second.
/// Threads: all functions are pure.
#pragma once

#include <knock/kn1.hpp>

namespace knock::kn1 {

struct Device {
  Kid kid;
  Secret secret;
  Secret psk; ///< the same as `secret`, but with a password what `password_psk` makes
  Mode mode = Mode::signed_key;
  Secret seed; ///< Ed25519, mode A only
};

/// What the router registers of a device's seed.
Public signing_public(const Secret& seed);

/// The smallest packet that takes so many bytes of arguments; none if too many.
std::optional<std::size_t> smallest_size(std::size_t args, Mode mode);

/// Fills `packet`. `ephemeral` must be new and random for each packet, `ts` new for each too (`run`: for each one meant).
/// Returns false, and leaves zeros, if the arguments do not fit, `packet` has no size of KN1, a source is missing or
/// too much, or the server's key is of small order.
bool seal(const Request& request, const Server& server, const Device& device, std::uint64_t ts,
          const Secret& ephemeral, std::span<std::uint8_t> packet);

/// m as `parse_request` reads it; `m` is filled to its end. Returns false as `seal`.
bool encode(const Request& request, std::span<std::uint8_t> m);

/// Argon2id 1.3 of a password (its bytes as they are), salted by the device's secret. Returns nothing without memory.
std::optional<Secret> argon2id(std::string_view password, const Secret& device);
Secret password_psk(const Secret& device, const Secret& argon2);

} // namespace knock::kn1
