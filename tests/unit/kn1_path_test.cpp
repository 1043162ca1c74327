// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1_path.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <random>

#include <knock/kn1_client.hpp>

using namespace knock;
using namespace std::chrono_literals;

namespace {

constexpr Stamp kNow = 1'795'521'600'000'000'000;
constexpr Stamp kSecond = 1'000'000'000;
constexpr Instant kStart{std::chrono::hours{1}};

kn1::Secret secret_of(std::uint32_t number) {
  kn1::Secret secret;
  std::mt19937 random{number};
  for (auto& byte : secret.bytes) byte = static_cast<std::uint8_t>(random());
  return secret;
}

kn1::Kid kid_of(std::uint32_t number) {
  const auto bytes = secret_of(number + 1'000'000).bytes;
  kn1::Kid kid;
  std::copy_n(bytes.begin(), kid.bytes.size(), kid.bytes.begin());
  return kid;
}

Kn1Keys keys_of(std::uint32_t devices, std::uint32_t servers = 1) {
  Kn1Keys keys;
  keys.ports = {{Protocol::udp, 17'022}};
  for (std::uint32_t i = 0; i < servers; ++i)
    keys.servers.push_back(kn1::make_server_key(secret_of(900 + i), secret_of(950 + i)));
  for (std::uint32_t i = 0; i < devices; ++i) {
    Kn1Keys::Device device;
    device.kid = kid_of(i);
    device.mode = i % 2 == 0 ? kn1::Mode::signed_key : kn1::Mode::symmetric;
    device.secret = device.psk = secret_of(i);
    device.slot = i;
    keys.devices.push_back(device);
  }
  return keys;
}

using Bytes = std::vector<std::uint8_t>;

Bytes sealed(const Kn1Keys& keys, std::uint32_t device, Stamp at, std::size_t server = 0,
             std::size_t size = 192) {
  const auto& one = keys.devices.at(device);
  kn1::Request request;
  request.door = kn1::wire_id("ssh");
  Bytes packet(size);
  REQUIRE(kn1::seal(request, keys.servers.at(server).server,
                    {one.kid, one.secret, one.psk, one.mode, secret_of(77)}, at,
                    secret_of(static_cast<std::uint32_t>(at)), packet));
  return packet;
}

struct Path {
  Kn1Path path{};
  std::map<std::uint32_t, StampLine> lines{};
  std::vector<Kn1Record> out{};

  void follow(const Kn1Keys& keys) {
    path.follow(keys, [this](std::uint32_t slot) { return std::optional(lines[slot]); });
  }
  Kn1Fate read(const Bytes& bytes, Instant now = kStart, Stamp wall = kNow) {
    Packet packet;
    packet.source = *parse_address("203.0.113.9");
    packet.protocol = Protocol::udp;
    packet.port = 17'022;
    packet.length = static_cast<std::uint16_t>(bytes.size());
    packet.payload = std::as_bytes(std::span(bytes));
    REQUIRE(path.takes(packet));
    return path.read(packet, now, wall, out);
  }
};

} // namespace

TEST_CASE("a packet of a device, in any size and for any live key, becomes a record") {
  const auto keys = keys_of(4, 2);
  Path path;
  path.follow(keys);
  Stamp at = kNow;
  for (std::size_t server = 0; server < 2; ++server)
    for (const auto size : kn1::kSizes) {
      CHECK(path.read(sealed(keys, 1, ++at, server, size)) == Kn1Fate::opened);
      CHECK(path.out.back().server == keys.servers[server].server.pub);
      CHECK(path.out.back().head.kid == keys.devices[1].kid);
      CHECK(path.out.back().head.ts == at);
      CHECK(path.out.back().plain.size == size - kn1::kOverhead);
    }
  CHECK_FALSE(path.path.take_refusal());
}

TEST_CASE("what is none of a device is told apart, and leaves nothing behind") {
  const auto keys = keys_of(2);
  Path path;
  path.follow(keys);
  CHECK(path.read(Bytes(192, 7)) == Kn1Fate::kid);
  CHECK(path.read(Bytes(191, 7)) == Kn1Fate::length);
  CHECK(path.read(sealed(keys_of(3), 2, kNow)) == Kn1Fate::kid);
  CHECK(path.read(sealed(keys_of(2, 2), 0, kNow, 1)) == Kn1Fate::kid); // another router's key
  auto other = keys;
  other.devices[0].secret = secret_of(5);
  CHECK(path.read(sealed(other, 0, kNow)) == Kn1Fate::mac);
  CHECK_FALSE(path.path.take_refusal()); // nobody known did that
  other = keys;
  other.devices[1].psk = secret_of(5); // a wrong password
  CHECK(path.read(sealed(other, 1, kNow)) == Kn1Fate::seal);
  CHECK(path.path.take_refusal()->fate == Kn1Fate::seal);
  CHECK(path.out.empty());
}

TEST_CASE("old captures, replays and wrong clocks end before any public-key work") {
  const auto keys = keys_of(2);
  Path path;
  path.follow(keys);
  CHECK(path.read(sealed(keys, 0, kNow - 121 * kSecond)) == Kn1Fate::age);
  CHECK(path.read(sealed(keys, 0, kNow + 31 * kSecond)) == Kn1Fate::ahead);
  path.lines[0].accept(kNow);
  path.lines[0].raise(kNow - 5);
  for (int i = 0; i < 1'000; ++i) REQUIRE(path.read(sealed(keys, 0, kNow)) == Kn1Fate::replay);
  CHECK(path.read(sealed(keys, 0, kNow - 6)) == Kn1Fate::floor);
  CHECK(path.read(sealed(keys, 0, kNow + 1)) == Kn1Fate::opened); // and spent nothing of its budget
  auto counting = keys;
  counting.devices[1].counter = true;
  path.follow(counting);
  CHECK(path.read(sealed(keys, 1, 3)) == Kn1Fate::opened);
  auto unknown = keys;
  unknown.any_clock = true;
  path.follow(unknown);
  CHECK(path.read(sealed(keys, 1, kNow + 3'600 * kSecond)) == Kn1Fate::opened);
}

TEST_CASE("a device that sends too many spends its own budget, over new keys, too") {
  const auto keys = keys_of(2);
  Path path;
  path.follow(keys);
  Stamp at = kNow;
  for (int i = 0; i < 20; ++i) CHECK(path.read(sealed(keys, 0, ++at)) == Kn1Fate::opened);
  CHECK(path.read(sealed(keys, 0, ++at)) == Kn1Fate::limit);
  path.follow(keys);
  CHECK(path.read(sealed(keys, 0, ++at)) == Kn1Fate::limit);
  CHECK(path.read(sealed(keys, 1, ++at)) == Kn1Fate::opened);
  CHECK(path.read(sealed(keys, 0, ++at), kStart + 100ms) == Kn1Fate::opened);
  CHECK(path.read(sealed(keys, 0, ++at), kStart + 100ms) == Kn1Fate::limit);
}

TEST_CASE("each of ten thousand devices is found, and the image holds all of them") {
  const auto keys = keys_of(10'000, 4);
  const auto image = keys.encode();
  const auto read = Kn1Keys::decode(image);
  REQUIRE(read);
  Path path;
  path.follow(*read);
  for (std::uint32_t i = 0; i < 10'000; i += 499)
    CHECK(path.read(sealed(keys, i, kNow, i % 4)) == Kn1Fate::opened);
  for (std::size_t size : {std::size_t{0}, std::size_t{16}, image.size() - 1})
    CHECK_FALSE(Kn1Keys::decode(std::span(image).first(size)));
  auto longer = image;
  longer.push_back({});
  CHECK_FALSE(Kn1Keys::decode(longer));
}
