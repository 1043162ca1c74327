// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1_keys.hpp>

#include <algorithm>

#include "core/flat.hpp"

namespace knock {
namespace {

constexpr std::uint32_t kKeysMagic = 0x314b4e4bU;    // "KNK1"
constexpr std::uint8_t kCounter = 1, kSymmetric = 2; // of a device
constexpr std::uint8_t kIcmp = 1, kAnyClock = 2;     // of all

constexpr std::size_t kDeviceBytes = 8 + 32 + 32 + 4 + 1;

Kn1Keys::Device key_of(const Device& device, const DeviceKey& key, const Stamps& stamps) {
  Kn1Keys::Device out;
  out.kid = key.kid;
  out.mode = mode_of(device.accepts);
  out.secret = key.secret;
  out.psk = key.psk;
  out.counter = device.counter;
  out.slot = stamps.slot_of(out.kid).value_or(kMaxStampSlots);
  return out;
}

/// Each key of each device, with whose it is.
template<class Take>
void each_key(const Config& config, Take&& take) {
  for (const auto& user : config.users)
    for (const auto& device : user.devices) {
      take(device, device.key);
      if (device.old) take(device, device.old->key);
    }
}

} // namespace

Kn1Keys kn1_keys_of(const Config& config, const Stamps& stamps) {
  Kn1Keys keys;
  if (!takes_kn1(config)) return keys;
  keys.ports = config.kn1.ports;
  keys.icmp = config.kn1.icmp;
  keys.any_clock = !stamps.is_good();
  for (const auto& server : config.server_keys) keys.servers.push_back(server.key);
  each_key(config, [&](const Device& device, const DeviceKey& key) {
    keys.devices.push_back(key_of(device, key, stamps));
  });
  return keys;
}

std::vector<Stamps::Key> stamp_keys_of(const Config& config) {
  std::vector<Stamps::Key> keys;
  if (!takes_kn1(config)) return keys;
  each_key(config, [&](const Device& device, const DeviceKey& key) {
    keys.push_back({key.kid, device.counter, true, device.openings != 0});
  });
  return keys;
}

std::vector<std::byte> Kn1Keys::encode() const {
  Writer out;
  out.bytes.reserve(64 + servers.size() * 64 + devices.size() * kDeviceBytes);
  out.put(kKeysMagic, static_cast<std::uint32_t>(ports.size()), static_cast<std::uint32_t>(servers.size()),
          static_cast<std::uint32_t>(devices.size()));
  out.put(static_cast<std::uint8_t>((icmp ? kIcmp : 0U) | (any_clock ? kAnyClock : 0U)));
  for (const auto& port : ports) out.put(port.number);
  for (const auto& server : servers) out.put(server.secret.bytes, server.server.hide.bytes);
  for (const auto& device : devices) {
    out.put(device.kid.bytes, device.secret.bytes, device.psk.bytes, device.slot);
    const bool symmetric = device.mode == kn1::Mode::symmetric;
    out.put(static_cast<std::uint8_t>((device.counter ? kCounter : 0U) | (symmetric ? kSymmetric : 0U)));
  }
  return std::move(out.bytes);
}

std::optional<Kn1Keys> Kn1Keys::decode(std::span<const std::byte> image) {
  Taker in{image};
  const auto magic = in.take<std::uint32_t>();
  const auto ports = in.take<std::uint32_t>(), servers = in.take<std::uint32_t>();
  const auto devices = in.take<std::uint32_t>();
  const auto bits = in.take<std::uint8_t>();
  if (!in.whole || magic != kKeysMagic || ports > kKn1Ports.most || servers > kMaxServerKeys ||
      devices > kMaxStampSlots)
    return std::nullopt;
  Kn1Keys keys;
  keys.icmp = (bits & kIcmp) != 0;
  keys.any_clock = (bits & kAnyClock) != 0;
  for (std::uint32_t i = 0; i < ports; ++i) keys.ports.push_back({Protocol::udp, in.take<std::uint16_t>()});
  for (std::uint32_t i = 0; i < servers; ++i) {
    const kn1::Secret secret(in.take<decltype(kn1::Secret::bytes)>());
    keys.servers.push_back(
        kn1::make_server_key(secret, kn1::Secret(in.take<decltype(kn1::Secret::bytes)>())));
  }
  keys.devices.reserve(devices);
  for (std::uint32_t i = 0; i < devices && in.whole; ++i) {
    auto& device = keys.devices.emplace_back();
    device.kid.bytes = in.take<decltype(kn1::Kid::bytes)>();
    device.secret = kn1::Secret(in.take<decltype(kn1::Secret::bytes)>());
    device.psk = kn1::Secret(in.take<decltype(kn1::Secret::bytes)>());
    device.slot = in.take<std::uint32_t>();
    const auto how = in.take<std::uint8_t>();
    device.counter = (how & kCounter) != 0;
    device.mode = (how & kSymmetric) != 0 ? kn1::Mode::symmetric : kn1::Mode::signed_key;
  }
  if (!in.whole || !in.bytes.empty()) return std::nullopt;
  return keys;
}

} // namespace knock
