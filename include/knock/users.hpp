// SPDX-License-Identifier: GPL-2.0-or-later
/// User, Device, ServerKey: who may open which door, until when, and by which keys. Every default is filled in, and what
/// user and device both say stands in the device.
///
/// Source: knockgate-users(5); KN1.md 2.2 for the keys. Nothing here is ever shown: keys have no to_string.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/address.hpp>
#include <knock/findings.hpp>
#include <knock/kn1.hpp>
#include <knock/time.hpp>

namespace knock {

struct Config;

/// The one way in that a device has. Signed (mode A): kn1. By a shared secret alone (mode S): psk, password.
enum class Accepts : std::uint8_t { kn1, psk, password };
/// As in the config: "kn1", "psk", "password".
std::string_view to_string(Accepts accepts);
/// Who reads the router's files can knock as such a device.
constexpr bool is_symmetric(Accepts accepts) {
  return accepts != Accepts::kn1;
}
constexpr kn1::Mode mode_of(Accepts accepts) {
  return is_symmetric(accepts) ? kn1::Mode::symmetric : kn1::Mode::signed_key;
}

struct DeviceKey {
  kn1::Kid kid;
  kn1::Secret secret;                    ///< D
  kn1::Secret psk;                       ///< of the Noise handshake: D, or what a password makes of it
  std::optional<kn1::Public> public_key; ///< Ed25519, of kn1; absent there: invited, nothing opens yet
};

/// The key before a rotation, of the same way in.
struct OldKey {
  DeviceKey key;
  Moment until;
};

struct Device {
  std::string user;
  std::string name;
  std::string label; ///< "alice/laptop"
  Place place;
  bool enabled = true; ///< itself and its user
  Accepts accepts = Accepts::kn1;
  DeviceKey key;
  std::optional<OldKey> old;
  std::vector<std::string> doors;   ///< its own, else its user's; a name may lead to no door
  std::optional<Moment> from;       ///< the later of its own and its user's
  std::optional<Moment> until;      ///< the earlier; no grant lasts longer
  std::optional<Moment> claim;      ///< its public key is taken until then
  std::vector<Prefix> sources;      ///< where its packets come from; empty: anywhere
  std::vector<Prefix> user_sources; ///< and of these
  bool counter = false;             ///< clock = "none": stamps count
  bool require_source = true;       ///< false: takes packets that are bound to no address
  bool for_src = false;             ///< may open for another address
  std::uint32_t addresses = 8;      ///< open at once
  Millis ttl_max{300'000};
  std::uint32_t openings = 0; ///< that it has in all; 0: any number
};

struct User {
  std::string name;
  Place place;
  bool enabled = true;
  std::vector<std::string> doors;
  std::optional<Moment> from;
  std::optional<Moment> until;
  std::vector<Prefix> sources;
  std::vector<Device> devices; ///< in reading order
};

/// An X25519 pair of this router, and what hides packets from those who were not invited.
struct ServerKey {
  Moment made;
  kn1::ServerKey key;
  std::optional<Moment> until; ///< absent: of the first
  Place place;
};

/// The first four bytes, as `knockctl key` names it: "f55a3800".
std::string key_name(const kn1::Public& public_key);

const User* find_user(const Config& config, std::string_view name);
/// "alice/laptop".
const Device* find_device(const Config& config, std::string_view label);
/// Whether user, device and door all say yes; dates, keys and sources are asked elsewhere.
bool may_open(const Config& config, const Device& device, std::string_view door);
/// What a device lacks to open anything now; nothing: it is fine.
enum class Lack : std::uint8_t { nothing, off, not_yet, ended, invited };
Lack lack_of(const Device& device, Moment now);

} // namespace knock
