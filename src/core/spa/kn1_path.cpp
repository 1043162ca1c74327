// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1_path.hpp>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <utility>

namespace knock {
namespace {

constexpr double kBurst = 2; // seconds of a device's rate that it may spend at once

/// Kids are random: any bits of theirs spread. Strangers choose what is looked for, never what is there.
std::size_t spread(const kn1::Kid& kid) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, kid.bytes.data(), sizeof bits);
  return static_cast<std::size_t>(bits);
}

bool is_ping_or_answer(const Packet& packet) {
  constexpr std::uint16_t kRequest = 8U << 8U, kAnswer = 0, kRequest6 = 128U << 8U, kAnswer6 = 129U << 8U;
  if (packet.protocol == Protocol::icmp) return packet.port == kRequest || packet.port == kAnswer;
  return packet.protocol == Protocol::icmp6 && (packet.port == kRequest6 || packet.port == kAnswer6);
}

Kn1Fate fate_of(Freshness freshness) {
  switch (freshness) {
  case Freshness::age: return Kn1Fate::age;
  case Freshness::ahead: return Kn1Fate::ahead;
  case Freshness::replay: return Kn1Fate::replay;
  case Freshness::floor: return Kn1Fate::floor;
  default: return Kn1Fate::opened;
  }
}

} // namespace

std::string_view to_string(Kn1Fate fate) {
  constexpr std::array<std::string_view, kKn1Fates> kNames{"opened", "length", "kid",   "mac",   "age",
                                                           "ahead",  "replay", "floor", "limit", "seal"};
  return kNames.at(static_cast<std::size_t>(fate));
}

void Kn1Path::follow(Kn1Keys keys, LineOf line_of) {
  std::vector<Device> devices;
  devices.reserve(keys.devices.size());
  for (auto& key : keys.devices) {
    auto& device = devices.emplace_back(Device{std::move(key), {}, kBurst * pace_.rate, Instant{}});
    if (const auto* before = find(device.key.kid); before != nullptr) {
      device.tokens = before->tokens;
      device.filled = before->filled;
    }
    for (std::size_t i = 0; i < keys.servers.size(); ++i)
      device.macs.at(i) = kn1::make_mac_key(device.key.secret, device.key.mode, keys.servers[i].server.pub);
  }
  devices_ = std::move(devices);
  places_.assign(std::bit_ceil(2 * devices_.size() + 1), 0);
  for (std::uint32_t i = 0; i < devices_.size(); ++i) {
    auto place = spread(devices_[i].key.kid) & (places_.size() - 1);
    while (places_[place] != 0) place = (place + 1) & (places_.size() - 1);
    places_[place] = i + 1;
  }
  keys.devices.clear();
  keys_ = std::move(keys);
  line_of_ = std::move(line_of);
}

bool Kn1Path::takes(const Packet& packet) const {
  if (packet.protocol == Protocol::udp)
    return std::find(keys_.ports.begin(), keys_.ports.end(), Port{Protocol::udp, packet.port}) !=
           keys_.ports.end();
  return keys_.icmp && is_ping_or_answer(packet);
}

Kn1Path::Device* Kn1Path::find(const kn1::Kid& kid) {
  if (places_.empty()) return nullptr;
  for (auto place = spread(kid) & (places_.size() - 1); places_[place] != 0;
       place = (place + 1) & (places_.size() - 1))
    if (auto& device = devices_[places_[place] - 1]; device.key.kid == kid) return &device;
  return nullptr;
}

Kn1Fate Kn1Path::judge(const Device& device, Stamp stamp, Stamp wall) const {
  const auto line = line_of_ ? line_of_(device.key.slot) : std::nullopt;
  // Without its line it counts as never seen: the keeper finds what was.
  const WallClock clock{wall, !device.key.counter && !keys_.any_clock};
  return fate_of(knock::judge(line.value_or(StampLine{}), stamp, clock));
}

bool Kn1Path::take_token(Device& device, Instant now) const {
  const auto passed = std::chrono::duration<double>(now - device.filled).count();
  device.tokens = std::min(kBurst * pace_.rate, device.tokens + std::max(passed, 0.0) * pace_.rate);
  device.filled = now;
  if (device.tokens < 1) return false;
  device.tokens -= 1;
  return true;
}

Kn1Fate Kn1Path::read(const Packet& packet, Instant now, Stamp wall, std::vector<Kn1Record>& out) {
  const kn1::Bytes bytes{reinterpret_cast<const std::uint8_t*>(packet.payload.data()), packet.payload.size()};
  if (bytes.size() != packet.length || !kn1::is_size(bytes.size())) return Kn1Fate::length;
  auto fate = Kn1Fate::kid;
  for (std::size_t i = 0; i < keys_.servers.size(); ++i) {
    const auto& server = keys_.servers[i];
    const auto head = kn1::unmask(bytes, server.server);
    auto* device = find(head.kid);
    if (device == nullptr) continue;
    fate = Kn1Fate::mac;
    if (!kn1::mac_fits(bytes, head, device->macs.at(i))) continue;
    fate = judge(*device, head.ts, wall);
    if (fate == Kn1Fate::opened && !take_token(*device, now)) fate = Kn1Fate::limit;
    if (fate == Kn1Fate::opened) {
      auto& record = out.emplace_back();
      record.server = server.server.pub;
      record.head = head;
      record.source = packet.source;
      if (kn1::open(bytes, head, server, device->key.psk, device->key.mode, record.plain)) return fate;
      out.pop_back();
      fate = Kn1Fate::seal;
    }
    refusal_ = Kn1Refusal{head.kid, fate, head.ts, packet.source};
    return fate;
  }
  return fate;
}

} // namespace knock
