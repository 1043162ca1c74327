// SPDX-License-Identifier: GPL-2.0-or-later
// One packet through KN1, beside what libsodium alone takes for the same primitives: junk, a wrong mac1, accepted ones;
// and packets of 10,000 devices, opened and refused, beside those of one.
// Run it with --benchmark_repetitions=20 --benchmark_enable_random_interleaving=true (tests/bench/run kn1).
#include <benchmark/benchmark.h>

#include <cstdio>
#include <map>
#include <optional>
#include <vector>

#include <sodium.h>

#include <knock/kn1_path.hpp>

#include "../harness/kn1_vectors.hpp"

using namespace knock::kn1;

namespace {

const Kn1Vectors& vectors() {
  static const Kn1Vectors read(KNOCKGATE_VECTORS);
  return read;
}

const Vector& named(const std::string& name) {
  for (const auto& one : vectors().all)
    if (one.name() == name) return one;
  throw std::runtime_error(name);
}

Raw random_packet(std::int64_t size) {
  Raw packet(static_cast<std::size_t>(size));
  randombytes_buf(packet.data(), packet.size());
  return packet;
}

/// Steps 2 to 8 of what a router does, without look-ups and state.
bool accepted(Bytes packet, const Device& device, const MacKey& mac_key, const Public& signer) {
  const auto& key = vectors().server;
  const auto head = unmask(packet, key.server);
  if (head.kid != device.kid || !mac_fits(packet, head, mac_key)) return false;
  Plain plain;
  if (!open(packet, head, key, device.psk, device.mode, plain)) return false;
  const auto m = plain.m(device.mode);
  if (device.mode == Mode::signed_key) { // the keeper's part
    const auto h = handshake_hash(key.server.pub, device.psk, device.mode, head);
    if (!signature_fits(signer, h, m, plain.signature())) return false;
  }
  return parse_request(m).has_value();
}

void junk(benchmark::State& state) {
  const auto packet = random_packet(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(unmask(packet, vectors().server.server));
}

void junk_floor(benchmark::State& state) {
  const auto data = random_packet(9 + 32 + 16);
  std::array<std::uint8_t, 48> out{};
  for (auto _ : state) {
    crypto_generichash_blake2b(out.data(), out.size(), data.data(), data.size(), data.data(), 32);
    benchmark::DoNotOptimize(out);
  }
}

void wrong_mac(benchmark::State& state) {
  const auto packet = random_packet(state.range(0));
  const auto& alice = vectors().devices[0];
  const auto key = make_mac_key(alice.secret, alice.mode, vectors().server.server.pub);
  for (auto _ : state) {
    const auto head = unmask(packet, vectors().server.server);
    benchmark::DoNotOptimize(mac_fits(packet, head, key));
  }
}

void wrong_mac_floor(benchmark::State& state) {
  const auto data = random_packet(state.range(0));
  std::array<std::uint8_t, 48> out{};
  for (auto _ : state) {
    crypto_generichash_blake2b(out.data(), 48, data.data(), 57, data.data(), 32);
    crypto_generichash_blake2b(out.data(), 16, data.data(), data.size() - 16, data.data(), 32);
    benchmark::DoNotOptimize(out);
  }
}

void accept_packet(benchmark::State& state, const char* name) {
  const auto packet = named(name).packet();
  const auto& device = *vectors().find(unmask(packet, vectors().server.server).kid);
  const auto key = make_mac_key(device.secret, device.mode, vectors().server.server.pub);
  const auto signer = vectors().pub("ALICE_PUB");
  for (auto _ : state)
    if (!accepted(packet, device, key, signer)) state.SkipWithError("refused");
}

void accept_a(benchmark::State& state) {
  accept_packet(state, "A-open");
}
void accept_s(benchmark::State& state) {
  accept_packet(state, "S-open");
}

/// The hashes for pad and mac1, one DH, one AEAD, in mode A one Ed25519. What Noise hashes comes on top.
void floor_of(benchmark::State& state, bool signed_too) {
  const auto point = vectors().server.server.pub;
  const auto packet = random_packet(112); // the payload of the smallest packet
  const std::array<std::uint8_t, 12> nonce{};
  Raw sealed(packet.size() + 16);
  Raw opened(packet.size());
  crypto_aead_chacha20poly1305_ietf_encrypt(sealed.data(), nullptr, packet.data(), packet.size(),
                                            packet.data(), 64, nullptr, nonce.data(), packet.data());
  std::array<std::uint8_t, 32> pub{};
  std::array<std::uint8_t, 64> secret{};
  std::array<std::uint8_t, 64> signature{};
  crypto_sign_keypair(pub.data(), secret.data());
  crypto_sign_detached(signature.data(), nullptr, packet.data(), packet.size(), secret.data());
  for (auto _ : state) {
    std::array<std::uint8_t, 32> dh{};
    std::array<std::uint8_t, 48> out{};
    crypto_generichash_blake2b(out.data(), 48, sealed.data(), 57, packet.data(), 32);
    crypto_generichash_blake2b(out.data(), 16, sealed.data(), sealed.size(), packet.data(), 32);
    benchmark::DoNotOptimize(out);
    if (crypto_scalarmult(dh.data(), vectors().server.secret.bytes.data(), point.data()) != 0 ||
        crypto_aead_chacha20poly1305_ietf_decrypt(opened.data(), nullptr, nullptr, sealed.data(),
                                                  sealed.size(), packet.data(), 64, nonce.data(),
                                                  packet.data()) != 0 ||
        (signed_too &&
         crypto_sign_verify_detached(signature.data(), packet.data(), packet.size(), pub.data()) != 0))
      state.SkipWithError("refused");
    benchmark::DoNotOptimize(dh);
  }
}

void accept_a_floor(benchmark::State& state) {
  floor_of(state, true);
}
void accept_s_floor(benchmark::State& state) {
  floor_of(state, false);
}

void handshake(benchmark::State& state) { // what the keeper does beside the signature
  const auto& alice = vectors().devices[0];
  const auto head = unmask(named("A-open").packet(), vectors().server.server);
  for (auto _ : state)
    benchmark::DoNotOptimize(handshake_hash(vectors().server.server.pub, alice.psk, alice.mode, head));
}

knock::Kn1Keys many_keys(std::int64_t count) {
  const auto& alice = vectors().devices[0];
  knock::Kn1Keys keys;
  keys.ports = {{knock::Protocol::udp, 17'022}};
  keys.servers.push_back(vectors().server);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto& device = keys.devices.emplace_back();
    randombytes_buf(device.kid.bytes.data(), device.kid.bytes.size());
    device.secret = device.psk = alice.secret;
    device.slot = i;
  }
  return keys;
}

/// Through the engine's path: packets of devices all over the table, so that what is looked up is not at hand. Each is
/// altered at `broken`, if that is given.
void path(benchmark::State& state, knock::Kn1Fate fate, std::optional<std::size_t> broken) {
  constexpr knock::Stamp kNow = 1'795'521'600'000'000'000;
  constexpr std::size_t kPackets = 1'024;
  const auto seed = vectors().devices[0].secret;
  auto keys = many_keys(state.range(0));
  std::vector<Raw> sent;
  for (std::size_t i = 0; i < kPackets; ++i) {
    const auto& one = keys.devices[i * 7'919 % keys.devices.size()];
    auto& bytes = sent.emplace_back(192);
    auto ephemeral = seed;
    ephemeral.bytes[8] = static_cast<std::uint8_t>(i);
    ephemeral.bytes[9] = static_cast<std::uint8_t>(i >> 8U);
    if (!seal(Request{}, vectors().server.server, {one.kid, one.secret, one.psk, one.mode, seed}, kNow + i,
              ephemeral, bytes))
      return state.SkipWithError("not sealed");
    if (broken) bytes[*broken] ^= 1U;
  }
  knock::Kn1Path path;
  path.set_pace({1e12});
  path.follow(std::move(keys), [](std::uint32_t) { return std::optional(knock::StampLine{}); });
  knock::Packet packet;
  packet.source = *knock::parse_address("203.0.113.9");
  packet.protocol = knock::Protocol::udp;
  packet.port = 17'022;
  packet.length = 192;
  std::vector<knock::Kn1Record> out;
  knock::Instant now{std::chrono::hours{1}};
  for (std::size_t at = 0; auto _ : state) {
    out.clear();
    now += knock::Millis{1};
    packet.payload = std::as_bytes(std::span(sent[at++ % kPackets]));
    if (path.read(packet, now, kNow, out) != fate) state.SkipWithError("judged wrongly");
  }
}
void path_open(benchmark::State& state) {
  path(state, knock::Kn1Fate::opened, std::nullopt);
}
void path_stranger(benchmark::State& state) { // what is hidden by mac1 is another kid then
  path(state, knock::Kn1Fate::kid, 191);
}
void path_wrong_mac(benchmark::State& state) {
  path(state, knock::Kn1Fate::mac, 100);
}

BENCHMARK(path_open)->Arg(1)->Arg(10'000);
BENCHMARK(path_stranger)->Arg(1)->Arg(10'000);
BENCHMARK(path_wrong_mac)->Arg(1)->Arg(10'000);
BENCHMARK(junk)->Arg(192)->Arg(1088);
BENCHMARK(junk_floor)->Arg(192)->Arg(1088);
BENCHMARK(wrong_mac)->Arg(192)->Arg(1088);
BENCHMARK(wrong_mac_floor)->Arg(192)->Arg(1088);
BENCHMARK(accept_a);
BENCHMARK(accept_a_floor);
BENCHMARK(accept_s);
BENCHMARK(accept_s_floor);
BENCHMARK(handshake);

/// The fastest of all repetitions, beside its floor's: what another program takes in between does not count.
class Fastest : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const auto& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const auto time = run.GetAdjustedCPUTime();
      const auto [at, first] = times_.try_emplace(run.run_name.str(), time);
      if (!first) at->second = std::min(at->second, time);
    }
  }
  void Finalize() override {
    for (const auto& [name, time] : times_) {
      const auto slash = std::min(name.find('/'), name.size());
      const auto floor = times_.find(name.substr(0, slash) + "_floor" + name.substr(slash));
      std::printf("%-22s %9.0f ns", name.c_str(), time);
      if (floor != times_.end()) std::printf("   %.2f x libsodium alone", time / floor->second);
      const auto alone = times_.find(name.substr(0, slash) + "/1");
      if (name.ends_with("/10000")) std::printf("   %.2f x one key", time / alone->second);
      std::printf("\n");
    }
  }

 private:
  std::map<std::string, double> times_;
};

} // namespace

int main(int argc, char** argv) {
  if (sodium_init() < 0) return 1;
  benchmark::Initialize(&argc, argv);
  Fastest reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
