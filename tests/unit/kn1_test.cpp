// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1_client.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "../harness/allocations.hpp"
#include "../harness/kn1_vectors.hpp"
#include "core/spa/layout.hpp"
#include "core/spa/noise_npsk0.hpp"

using namespace knock;
using namespace knock::kn1;

namespace {

const Kn1Vectors& vectors() {
  static const Kn1Vectors read(KNOCKGATE_VECTORS);
  return read;
}

template<class Container>
Raw raw(const Container& bytes) {
  return {bytes.begin(), bytes.end()};
}

struct Judged {
  std::string reason; ///< empty: taken
  const Device* device = nullptr;
  Plain plain;
  Request request; ///< without its arguments, which are a view
  Raw args;
};

/// The order of acceptance, without clock and state.
Judged judge(Bytes packet, const ServerKey& key = vectors().server) {
  Judged judged;
  judged.reason = "length";
  if (!is_size(packet.size())) return judged;
  judged.reason = "kid";
  const auto head = unmask(packet, key.server);
  judged.device = vectors().find(head.kid);
  if (judged.device == nullptr) return judged;
  const auto& [kid, secret, psk, mode, seed] = *judged.device;
  judged.reason = "mac";
  if (!mac_fits(packet, head, make_mac_key(secret, mode, key.server.pub))) return judged;
  judged.reason = "seal";
  if (!open(packet, head, key, psk, mode, judged.plain)) return judged;
  const auto m = judged.plain.m(mode);
  const auto h = handshake_hash(key.server.pub, psk, mode, head);
  judged.reason = "signature";
  if (mode == Mode::signed_key && !signature_fits(vectors().pub("ALICE_PUB"), h, m, judged.plain.signature()))
    return judged;
  const auto request = parse_request(m);
  judged.reason = request ? "" : request.error() == Malformed::op ? "op" : "form";
  if (request) judged.request = *request;
  judged.args = raw(std::exchange(judged.request.args, {}));
  return judged;
}

/// The reasons of the file in the words of the counters.
std::string counted(const std::string& reason) {
  static const std::map<std::string, std::string> words{
      {"mac1", "mac"}, {"dh", "seal"}, {"aead", "seal"}, {"flags", "form"}, {"args", "form"}};
  const auto found = words.find(reason);
  return found == words.end() ? reason : found->second;
}

Address address(const std::string& hex) {
  const auto octets = array_from_hex<16>(hex);
  if (hex.substr(0, 24) != "00000000000000000000ffff") return {Family::ipv6, octets};
  return *parse_address(fmt::format("{}.{}.{}.{}", octets[12], octets[13], octets[14], octets[15]));
}

/// What FIELDS says; `args` holds what the request looks at.
Request fields_of(const Vector& vector, Raw& args) {
  const auto fields = nlohmann::json::parse(vector["FIELDS"]);
  args = from_hex(fields["args"]);
  Request request{wire_id(fields["door_name"].get<std::string>()),
                  static_cast<Op>(fields["op"].get<int>()),
                  static_cast<Flag>(fields["flags"].get<int>()),
                  Seconds{fields["ttl"].get<int>()},
                  std::nullopt,
                  args};
  if (request.flag != Flag::unbound) request.src = address(fields["src"]);
  return request;
}

std::uint64_t ts_of(const Vector& vector) {
  return nlohmann::json::parse(vector["FIELDS"])["ts"];
}

/// A change of a packet by somebody who holds the device's secret: the mac fits again, and the head is hidden again.
Raw maced_anew(Raw packet, const Head& head, const Device& device, const Server& server) {
  const auto mac = mac_over(kn1::encode(head), sealed_of(Bytes(packet)),
                            make_mac_key(device.secret, device.mode, server.pub));
  const auto hidden = pad(server, mac);
  for (std::size_t i = 0; i < hidden.size(); ++i) packet[i] = kn1::encode(head)[i] ^ hidden[i];
  std::copy(mac.begin(), mac.end(), packet.end() - kMacBytes);
  return packet;
}

const Vector& named(const std::string& name) {
  for (const auto& one : vectors().all)
    if (one.name() == name) return one;
  throw std::runtime_error(name);
}

} // namespace

TEST_CASE("the file has all vectors, of both modes and every size") {
  std::map<std::size_t, int> sizes;
  int refused = 0;
  for (const auto& one : vectors().all) {
    refused += one.refused() ? 1 : 0;
    if (!one.refused()) ++sizes[one.packet().size()];
  }
  CHECK(vectors().all.size() == 36);
  CHECK(refused == 15);
  CHECK(sizes.size() == kSizes.size());
}

TEST_CASE("every good packet of the file opens, and says what it says there") {
  for (const auto& one : vectors().all) {
    if (one.refused()) continue;
    INFO(one.name());
    const auto packet = one.packet();
    const auto judged = judge(packet);
    CHECK(judged.reason.empty());
    Raw args;
    const auto wanted = fields_of(one, args);
    CHECK(judged.request.door == wanted.door);
    CHECK(judged.request.op == wanted.op);
    CHECK(judged.request.flag == wanted.flag);
    CHECK(judged.request.ttl == wanted.ttl);
    CHECK(judged.request.src == wanted.src);
    CHECK(judged.args == args);
    const auto head = unmask(packet, vectors().server.server);
    CHECK(head.ts == ts_of(one));
    CHECK(head.e == array_from_hex(one["E"]));
    CHECK(fmt::format("{:02x}", fmt::join(head.kid.bytes, "")) ==
          nlohmann::json::parse(one["FIELDS"])["kid"].get<std::string>());
  }
}

TEST_CASE("every good packet is sealed to the same bytes, through the same keys and hashes") {
  for (const auto& one : vectors().all) {
    if (one.refused()) continue;
    INFO(one.name());
    const auto packet = one.packet();
    const auto& server = vectors().server.server;
    const auto head = unmask(packet, server);
    const auto& device = *vectors().find(head.kid);
    Raw args;
    Raw sealed(packet.size());
    REQUIRE(seal(fields_of(one, args), server, device, ts_of(one), Secret(array_from_hex(one["E_PRIV"])),
                 sealed));
    CHECK(sealed == packet);
    CHECK(raw(make_mac_key(device.secret, device.mode, server.pub).key.bytes) == from_hex(one["MAC_KEY"]));
    CHECK(raw(handshake_hash(server.pub, device.psk, device.mode, head)) == from_hex(one["H"]));
    CHECK(raw(pad(server, mac_of(Bytes(packet)))) == from_hex(one["PAD"]));
    Secret dh;
    REQUIRE(noise::x25519(vectors().server.secret, head.e, dh));
    CHECK(raw(noise::payload_key(noise::after_psk(device.psk), head.e, dh).bytes) == from_hex(one["K"]));
    const auto plain = judge(packet).plain;
    CHECK(raw(plain.m(device.mode)) == from_hex(one["PLAIN"]));
    if (device.mode == Mode::signed_key) CHECK(raw(plain.signature()) == from_hex(one["SIG"]));
  }
}

TEST_CASE("every bad packet of the file is refused for its reason") {
  for (const auto& one : vectors().all) {
    if (!one.refused()) continue;
    INFO(one.name());
    CHECK(judge(one.packet()).reason == counted(one["REASON"]));
  }
}

TEST_CASE("one bit of a packet changed, and it is refused before its DH") {
  for (const auto& one : vectors().all) {
    if (one.refused()) continue;
    INFO(one.name());
    auto packet = one.packet();
    for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
      const auto mask = static_cast<std::uint8_t>(1U << bit % 8);
      packet[bit / 8] ^= mask;
      const auto reason = judge(packet).reason;
      if (reason != "kid" && reason != "mac") FAIL_CHECK(fmt::format("bit {}: {}", bit, reason));
      packet[bit / 8] ^= mask;
    }
    CHECK(judge(packet).reason.empty());
  }
}

TEST_CASE("a packet cut, or with something behind it, is refused") {
  for (const auto& one : vectors().all) {
    if (one.refused()) continue;
    INFO(one.name());
    const auto packet = one.packet();
    for (std::size_t size = 0; size <= 1'200; ++size) {
      auto other = packet;
      other.resize(size);
      if (size != packet.size()) CHECK_FALSE(judge(other).reason.empty());
    }
    CHECK(judge(packet).reason.empty());
  }
}

TEST_CASE("what the holder of the device's secret changes in a sealed packet does not open") {
  const auto& server = vectors().server.server;
  for (const auto* name : {"A-open", "S-open"}) {
    const auto packet = named(name).packet();
    const auto head = unmask(packet, server);
    const auto& device = *vectors().find(head.kid);
    for (std::size_t bit = 0; bit < (packet.size() - kMacBytes) * 8; ++bit) {
      auto other = packet;
      auto bytes = kn1::encode(head);
      auto& byte = bit / 8 < bytes.size() ? bytes[bit / 8] : other[bit / 8];
      byte ^= static_cast<std::uint8_t>(1U << bit % 8);
      Head changed = head;
      std::copy_n(bytes.begin(), 32, changed.e.begin());
      std::copy_n(bytes.begin() + 32, 8, changed.kid.bytes.begin());
      changed.ts = number_of(Bytes(bytes).last<8>());
      const auto made = maced_anew(other, changed, device, server);
      const auto found = unmask(made, server);
      REQUIRE(mac_fits(made, found, make_mac_key(device.secret, device.mode, server.pub)));
      Plain plain;
      // X25519 does not look at the last bit of a point; the hash does
      if (open(made, found, vectors().server, device.psk, device.mode, plain))
        FAIL_CHECK(fmt::format("{}: bit {} changed", name, bit));
      CHECK(plain.size == 0);
      CHECK(std::all_of(plain.bytes.begin(), plain.bytes.end(), [](auto b) { return b == 0; }));
    }
    CHECK(judge(maced_anew(packet, head, device, server)).reason.empty());
  }
}

TEST_CASE("a packet is for one server key, one device and one mode") {
  const auto packet = named("A-open").packet();
  const auto& alice = vectors().devices[0];
  const auto& server = vectors().server;
  // Another router with the same users and the same hide key.
  auto other = make_server_key(Secret(array_from_hex(std::string(62, '1') + "40")), server.server.hide);
  CHECK(judge(packet, other).reason == "kid");
  const auto head = unmask(packet, server.server);
  CHECK_FALSE(mac_fits(packet, head, make_mac_key(alice.secret, alice.mode, other.server.pub)));
  CHECK_FALSE(mac_fits(packet, head, make_mac_key(alice.secret, Mode::symmetric, server.server.pub)));
  Plain plain;
  CHECK_FALSE(open(packet, head, server, alice.secret, Mode::symmetric, plain));
  CHECK_FALSE(open(packet, head, server, vectors().devices[1].secret, alice.mode, plain));
  CHECK_FALSE(open(packet, head, other, alice.secret, alice.mode, plain));
  CHECK(open(packet, head, server, alice.secret, alice.mode, plain));
}

TEST_CASE("the head is hidden from who lacks the hide key") {
  const auto packet = named("A-open").packet();
  auto server = vectors().server.server;
  server.hide.bytes[31] ^= 1;
  CHECK(vectors().find(unmask(packet, server).kid) == nullptr);
}

TEST_CASE("a point of small order, whose product is zero, opens nothing") {
  // Daniel J. Bernstein, Curve25519, "May I reject keys?"; the last two are p + 0 and p + 1.
  const std::array<std::string, 7> points{std::string(64, '0'),
                                          "01" + std::string(62, '0'),
                                          "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                          "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                          "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                          "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
  const auto& bob = vectors().devices[1];
  const auto packet = named("S-open").packet();
  for (const auto& point : points) {
    INFO(point);
    auto head = unmask(packet, vectors().server.server);
    head.e = array_from_hex(point);
    // Sealed as it would be: the product is zero, which everybody knows.
    auto sealed = packet;
    const auto h = handshake_hash(vectors().server.server.pub, bob.psk, bob.mode, head);
    noise::encrypt(noise::payload_key(noise::after_psk(bob.psk), head.e, Secret()), h,
                   from_hex(named("S-open")["PLAIN"]), sealed_of(std::span(sealed)));
    sealed = maced_anew(sealed, head, bob, vectors().server.server);
    CHECK(judge(sealed).reason == "seal");
    Raw own(192);
    CHECK_FALSE(seal({}, {head.e, {}}, bob, 1, bob.secret, own));
    CHECK(own == Raw(192));
  }
}

TEST_CASE("a signature fits one text and one key, in one form") {
  const auto& one = named("A-open");
  const auto h = array_from_hex<64>(one["H"]);
  const auto m = from_hex(one["PLAIN"]);
  const auto signature = array_from_hex<64>(one["SIG"]);
  const auto key = vectors().pub("ALICE_PUB");
  REQUIRE(signature_fits(key, h, m, signature));
  CHECK(signing_public(vectors().devices[0].seed) == key);
  const auto flipped = [](auto bytes, std::size_t bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    return bytes;
  };
  for (std::size_t bit = 0; bit < 512; ++bit) {
    CHECK_FALSE(signature_fits(key, h, m, flipped(signature, bit)));
    CHECK_FALSE(signature_fits(key, flipped(h, bit), m, signature));
  }
  for (std::size_t bit = 0; bit < m.size() * 8; ++bit)
    CHECK_FALSE(signature_fits(key, h, flipped(m, bit), signature));
  for (std::size_t bit = 0; bit < 256; ++bit) CHECK_FALSE(signature_fits(flipped(key, bit), h, m, signature));
  CHECK_FALSE(signature_fits(key, h, Bytes(m).first(m.size() - 1), signature));
}

TEST_CASE("a signature with S beyond the order, or of a key or R of small order, does not fit") {
  const auto& one = named("A-open");
  const auto h = array_from_hex<64>(one["H"]);
  const auto m = from_hex(one["PLAIN"]);
  const auto key = vectors().pub("ALICE_PUB");
  // RFC 8032, 5.1: L = 2^252 + 27742317777372353535851937790883648493
  const auto order = array_from_hex("edd3f55c1a631258d69cf7a2def9de14" + std::string(30, '0') + "10");
  auto more = array_from_hex<64>(one["SIG"]);
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += static_cast<unsigned>(more[32 + i]) + order[i];
    more[32 + i] = static_cast<std::uint8_t>(carry & 0xffU);
    carry >>= 8U;
  }
  CHECK_FALSE(signature_fits(key, h, m, more));
  // With A and R the neutral point and S = 0, R + kA = SB holds for every text.
  const auto neutral = array_from_hex("01" + std::string(62, '0'));
  std::array<std::uint8_t, 64> forged{};
  std::copy(neutral.begin(), neutral.end(), forged.begin());
  CHECK_FALSE(signature_fits(neutral, h, m, forged));
  CHECK_FALSE(signature_fits(array_from_hex(std::string(64, '0')), h, m, forged));
  CHECK_FALSE(signature_fits(key, h, m, forged));
}

TEST_CASE("a password becomes the key of the file, and without it nothing opens") {
  const auto& carol = vectors().devices[2];
  const auto argon2 = argon2id(vectors().keys["CAROL_PASSWORD"], carol.secret);
  REQUIRE(argon2.has_value());
  CHECK(*argon2 == vectors().secret("CAROL_ARGON2ID"));
  CHECK(password_psk(carol.secret, *argon2) == vectors().secret("CAROL_PSK"));
  const auto packet = named("P-open").packet();
  Plain plain;
  const auto head = unmask(packet, vectors().server.server);
  CHECK_FALSE(open(packet, head, vectors().server, carol.secret, carol.mode, plain));
  CHECK(open(packet, head, vectors().server, carol.psk, carol.mode, plain));
}

TEST_CASE("the smallest packet that holds the arguments is found") {
  CHECK(smallest_size(0, Mode::signed_key) == 192);
  CHECK(smallest_size(16, Mode::signed_key) == 192);
  CHECK(smallest_size(17, Mode::signed_key) == 320);
  CHECK(smallest_size(144, Mode::signed_key) == 320);
  CHECK(smallest_size(400, Mode::signed_key) == 576);
  CHECK(smallest_size(912, Mode::signed_key) == 1088);
  CHECK_FALSE(smallest_size(913, Mode::signed_key).has_value());
  CHECK(smallest_size(80, Mode::symmetric) == 192);
  CHECK(smallest_size(81, Mode::symmetric) == 320);
  CHECK(smallest_size(976, Mode::symmetric) == 1088);
  CHECK_FALSE(smallest_size(977, Mode::symmetric).has_value());
}

TEST_CASE("what makes no request is not sealed") {
  const auto& bob = vectors().devices[1];
  const auto& server = vectors().server.server;
  const Raw args(81);
  Raw packet(192);
  const auto seals = [&](const Request& request) {
    return seal(request, server, bob, 1, bob.secret, packet);
  };
  CHECK(seals({{}, Op::run, Flag::unbound, {}, {}, Bytes(args).first(80)}));
  CHECK_FALSE(seals({{}, Op::run, Flag::unbound, {}, {}, args}));
  CHECK(packet == Raw(192));
  CHECK_FALSE(seals({{}, Op::open, Flag::unbound, {}, {}, Bytes(args).first(1)}));
  CHECK_FALSE(seals({{}, Op::open, Flag::bound, {}, {}, {}}));
  CHECK_FALSE(seals({{}, Op::open, Flag::unbound, {}, parse_address("192.0.2.1"), {}}));
  CHECK_FALSE(seals({{}, Op::open, Flag::bound, {}, parse_address("::"), {}}));
  CHECK_FALSE(seals({{}, Op::open, Flag::unbound, Seconds{0x1'0000'0000}, {}, {}}));
  CHECK_FALSE(seals({{}, Op::open, Flag::unbound, Seconds{-1}, {}, {}}));
  CHECK(seals({{}, Op::open, Flag::unbound, Seconds{0xffff'ffff}, {}, {}}));
  CHECK(judge(packet).request.ttl == Seconds{0xffff'ffff});
  packet.resize(193);
  CHECK_FALSE(seals({}));
}

TEST_CASE("a request is read strictly") {
  std::array<std::uint8_t, 48> m{};
  REQUIRE(kn1::encode({wire_id("ssh"), Op::run, Flag::bound, Seconds{7}, parse_address("192.0.2.1"), {}}, m));
  REQUIRE(parse_request(m).has_value());
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto changed = m;
    changed[at] = value;
    const auto read = parse_request(changed);
    return read ? "" : read.error() == Malformed::op ? "op" : "form";
  };
  CHECK(with(8, 0) == std::string("op"));
  CHECK(with(8, 5) == std::string("op"));
  CHECK(with(9, 3) == std::string("form"));
  CHECK(with(9, 0) == std::string("form")); // a source, unbound
  CHECK(with(11, 16) == std::string(""));
  CHECK(with(11, 17) == std::string("form"));
  CHECK(with(10, 1) == std::string("form"));
  CHECK(with(32, 1) == std::string("form")); // not zero behind the arguments
  CHECK(with(47, 1) == std::string("form"));
  m[11] = 16;
  CHECK(with(47, 1) == std::string(""));
  CHECK(with(8, 1) == std::string("form")); // arguments of an opening
  CHECK_FALSE(parse_request(Bytes(m).first(31)).has_value());
}

TEST_CASE("an IPv4 source is one, mapped in the packet, and any other is IPv6") {
  for (const auto* text : {"192.0.2.1", "2001:db8::1", "::1", "::ffff:0:192.0.2.1", "64:ff9b::192.0.2.1"}) {
    INFO(text);
    std::array<std::uint8_t, 32> m{};
    REQUIRE(kn1::encode({{}, Op::open, Flag::for_src, {}, parse_address(text), {}}, m));
    const auto read = parse_request(m);
    REQUIRE(read.has_value());
    CHECK(read->src == parse_address(text));
  }
  std::array<std::uint8_t, 32> m{};
  REQUIRE(kn1::encode({{}, Op::open, Flag::bound, {}, parse_address("::ffff:192.0.2.1"), {}}, m));
  CHECK(parse_request(m)->src == parse_address("192.0.2.1"));
}

TEST_CASE("the Noise part makes the published message of Noise_Npsk0_25519_ChaChaPoly_BLAKE2b") {
  // cacophony's vector of that name, as in github.com/mcginty/snow, tests/vectors/cacophony.txt @62fbfae2: its first message.
  // The tag covers h.
  const auto prologue = from_hex("4a6f686e2047616c74");
  const auto psk = Secret(array_from_hex("54686973206973206d7920417573747269616e20706572737065637469766521"));
  const auto ephemeral =
      Secret(array_from_hex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"));
  const auto responder =
      Secret(array_from_hex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"));
  const auto payload = from_hex("4c756477696720766f6e204d69736573");
  const auto message = from_hex("ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
                                "fb9a3a09da1ffa70cafee2e7e4067553eb04ea777e357fffe555a7641052b73b");
  const auto pub = noise::x25519_public(responder);
  CHECK(raw(pub) == from_hex("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"));
  const auto e = noise::x25519_public(ephemeral);
  CHECK(raw(e) == raw(Bytes(message).first(32)));
  Secret one;
  Secret other;
  REQUIRE(noise::x25519(ephemeral, pub, one));
  REQUIRE(noise::x25519(responder, e, other));
  CHECK(one == other);
  const auto h = noise::hash_before_payload(prologue, pub, noise::after_psk(psk), e);
  Raw sealed(payload.size() + noise::kTag);
  noise::encrypt(noise::payload_key(noise::after_psk(psk), e, one), h, payload, sealed);
  CHECK(sealed == raw(Bytes(message).subspan(32)));
  Raw opened(payload.size());
  REQUIRE(noise::decrypt(noise::payload_key(noise::after_psk(psk), e, one), h, sealed, opened));
  CHECK(opened == payload);
}

TEST_CASE("neither end allocates") {
  const auto packet = named("A-open").packet();
  const auto& alice = vectors().devices[0];
  const auto& key = vectors().server;
  const auto signer = vectors().pub("ALICE_PUB");
  const auto ephemeral = Secret(array_from_hex(named("A-open")["E_PRIV"]));
  Raw sealed(packet.size());
  const auto before = allocations;
  const auto head = unmask(packet, key.server);
  Plain plain;
  const bool opened = mac_fits(packet, head, make_mac_key(alice.secret, alice.mode, key.server.pub)) &&
                      open(packet, head, key, alice.psk, alice.mode, plain);
  const auto m = plain.m(alice.mode);
  const auto h = handshake_hash(key.server.pub, alice.psk, alice.mode, head);
  const bool fits = signature_fits(signer, h, m, plain.signature());
  const auto request = parse_request(m);
  const bool made = seal(*request, key.server, alice, head.ts, ephemeral, sealed);
  CHECK(allocations == before);
  CHECK(opened);
  CHECK(fits);
  CHECK(made);
  CHECK(sealed == packet);
}

TEST_CASE("secrets and what was opened are overwritten at their end") {
  alignas(Secret) std::array<std::uint8_t, sizeof(Secret)> memory{};
  auto* secret = new (memory.data()) Secret(vectors().secret("ALICE_D"));
  CHECK(memory[0] == 0x68);
  secret->~Secret();
  CHECK(std::all_of(memory.begin(), memory.end(), [](auto byte) { return byte == 0; }));
  alignas(Plain) std::array<std::uint8_t, sizeof(Plain)> more{};
  auto* plain = new (more.data()) Plain(judge(named("A-open").packet()).plain);
  CHECK(more[0] == 0xfa);
  plain->~Plain();
  CHECK(std::all_of(more.begin(), more.begin() + kMaxPlain, [](auto byte) { return byte == 0; }));
}
