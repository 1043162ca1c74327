// SPDX-License-Identifier: GPL-2.0-or-later
/// Kn1Keys: what the engine must know to open signed packets: no name, no right, no key that signs.
///
/// In, out: a flat image, which the keeper seals into a memory file.
/// Errors:  decode returns nothing for bytes that are no image of this version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <knock/config.hpp>
#include <knock/kn1.hpp>
#include <knock/port.hpp>
#include <knock/stamps.hpp>

namespace knock {

struct Kn1Keys {
  struct Device {
    kn1::Kid kid;
    kn1::Mode mode = kn1::Mode::signed_key;
    kn1::Secret secret;
    kn1::Secret psk;
    bool counter = false;   ///< its stamps have no window
    std::uint32_t slot = 0; ///< of its line in kn1.run
  };
  std::vector<Port> ports; ///< of UDP
  bool icmp = false;
  bool any_clock = false; ///< the clock is not known yet: stamps of no device have a window
  std::vector<kn1::ServerKey> servers;
  std::vector<Device> devices;

  [[nodiscard]] std::vector<std::byte> encode() const;
  static std::optional<Kn1Keys> decode(std::span<const std::byte> image);
};

/// The keys of a configuration: all devices that are not removed, with those before a rotation, for every server key.
/// `stamps` follows the same keys. Empty without a door that opens by signed packets.
Kn1Keys kn1_keys_of(const Config& config, const Stamps& stamps);
std::vector<Stamps::Key> stamp_keys_of(const Config& config);

} // namespace knock
