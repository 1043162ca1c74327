// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/requests.hpp"

#include <doctest/doctest.h>

#include <charconv>

#include <knock/kn1_client.hpp>
#include <knock/kn1_path.hpp>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

constexpr Stamp kNow = 1'795'521'600'000'000'000; // in November 2026
constexpr Stamp kSecond = 1'000'000'000;
const auto kOwn = address("192.0.2.1");

kn1::Secret secret_of(std::string_view hex) {
  kn1::Secret secret;
  for (std::size_t i = 0; i < secret.bytes.size(); ++i)
    std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, secret.bytes[i], 16);
  return secret;
}

// Of the published vectors; alice's laptop signs, bob's does not.
const auto kSeed = secret_of("170488b2fce11d7d289d2e13cb0880251de34728bf8bf29941149eb4e400f2cf");
const auto kSecretA = secret_of("685ba3aabe0fce332a0ecdc981a45f5c8e8f42e30c564cc35fda86fe30bb27f8");
const auto kSecretB = secret_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
constexpr kn1::Kid kKidA{{0xde, 0xc5, 0xc8, 0x6d, 0x3c, 0xa1, 0xc1, 0xb4}};
constexpr kn1::Kid kKidB{{1, 2, 3, 4, 5, 6, 7, 8}};

const std::string kLaptop = "[user.alice.laptop]\nkid = \"dec5c86d3ca1c1b4\"\n"
                            "secret = \"aFujqr4PzjMqDs3JgaRfXI6PQuMMVkzDX9qG/jC7J/g=\"\n"
                            "public = \"xtEpxUEhroFdLG6tfj/tvJ/1dI+8/b83rECYw6skhTM=\"\n";
const std::string kPc = "[user.bob.pc]\naccepts = \"psk\"\nkid = \"0102030405060708\"\n"
                        "secret = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\nrequire_source = false\n";
const std::string kDoors = "[door.ssh]\nopens = [\"tcp/22\"]\nkn1 = true\nfor = \"30s\"\n[door.nas]\nopens = "
                           "[\"tcp/445\"]\nkn1 = true\n"
                           "[door.wake]\nrun = [\"/bin/true\"]\nkn1 = true\nargs = 16\n[door.web]\nopens = "
                           "[\"tcp/80\"]\nknock = [\"udp/7001\"]\n";

/// `more`: lines of alice's laptop.
std::shared_ptr<const Config> config_with(const std::string& more) {
  using Part = ConfigText::Part;
  const std::vector<ConfigText> texts{
      {"knockgate.toml", kDoors, Part::main},
      {"users.d/alice.toml", "[user.alice]\ndoors = [\"ssh\", \"wake\"]\n", Part::users},
      {"users.d/alice.laptop.toml", kLaptop + more, Part::users},
      {"users.d/bob.toml", "[user.bob]\ndoors = [\"ssh\", \"nas\", \"wake\"]\n", Part::users},
      {"users.d/bob.pc.toml", kPc, Part::users},
      {"kn1.key",
       "[[key]]\nmade = 2026-11-25T10:00:00Z\nprivate = \"GadIy/H0hRLebEnJg/q4dd0JYc75+cu+Ge2M+UBqpss=\"\n"
       "hide = \"nMP5xfCBSWjsKZbDUaEr++k0ChqTjMHAGxLT8i++IVs=\"\n",
       Part::keys}};
  auto parsed = parse_config(texts);
  for (const auto& finding : parsed.findings)
    REQUIRE_MESSAGE(finding.level != Finding::Level::error, to_string(finding));
  return std::make_shared<const Config>(std::move(*parsed.config));
}

struct Asks {
  std::string door = "ssh";
  kn1::Op op = kn1::Op::open;
  kn1::Flag flag = kn1::Flag::bound;
  std::string src = "203.0.113.9";
  std::string from = "203.0.113.9"; ///< of the packet
  Seconds ttl{};
  std::string args{};
  Stamp at = kNow;
  bool signs = true; ///< alice, else bob
};

struct Judge {
  std::shared_ptr<const Config> config;
  Knocks knocks{};
  Requests requests{};
  Stamps stamps{};
  Counts refused{};
  std::vector<Line> lines{};
  std::vector<Job> jobs{};

  explicit Judge(const std::string& more = {}) : config(config_with(more)) {
    knocks.follow(*config);
    knocks.set_own({kOwn});
    requests.follow(*config);
    stamps.recall({.good_since = kNow - 3'600 * kSecond, .marks = {}}, Ceilings{});
    stamps.follow(stamp_keys_of(*config), {kNow, true});
  }

  /// As an honest engine opens it.
  [[nodiscard]] Kn1Record record(const Asks& asks) const {
    kn1::Request request;
    request.door = kn1::wire_id(asks.door);
    request.op = asks.op;
    request.flag = asks.flag;
    request.ttl = asks.ttl;
    if (asks.flag != kn1::Flag::unbound) request.src = address(asks.src);
    request.args = {reinterpret_cast<const std::uint8_t*>(asks.args.data()), asks.args.size()};
    const auto& server = config->server_keys.front().key;
    const auto mode = asks.signs ? kn1::Mode::signed_key : kn1::Mode::symmetric;
    const auto& secret = asks.signs ? kSecretA : kSecretB;
    std::vector<std::uint8_t> packet(kn1::smallest_size(asks.args.size(), mode).value());
    REQUIRE(kn1::seal(request, server.server, {asks.signs ? kKidA : kKidB, secret, secret, mode, kSeed},
                      asks.at, kSecretB, packet));
    Kn1Record record;
    record.server = server.server.pub;
    record.head = kn1::unmask(packet, server.server);
    record.source = address(asks.from);
    REQUIRE(kn1::open(packet, record.head, server, secret, mode, record.plain));
    return record;
  }

  void judge(const Kn1Record& record, Instant at = kStart, Stamp now = kNow) {
    requests.judge({&record, 1}, {at, {now, true}}, knocks, stamps, jobs, refused, lines);
  }
  /// Why it is refused; empty: a job.
  std::string why(const Asks& asks, Stamp now = kNow) { return why(record(asks), now); }
  std::string why(const Kn1Record& record, Stamp now = kNow) {
    refused.clear();
    const auto before = jobs.size();
    judge(record, kStart, now);
    REQUIRE((jobs.size() == before) == !refused.empty());
    return refused.empty() ? "" : refused.begin()->first;
  }
};

Opening opened(Judge& judge, const Asks& asks) {
  REQUIRE(judge.why(asks) == "");
  return std::get<Opening>(judge.jobs.back());
}

} // namespace

TEST_CASE("a signed packet asks for its device's grant, as long as it may be") {
  Judge judge;
  const auto opening = opened(judge, {});
  CHECK(opening.request.door == "ssh");
  CHECK(opening.request.by == "alice/laptop");
  CHECK(opening.request.via == Via::kn1);
  CHECK(opening.request.key == "dec5c8");
  CHECK(opening.request.source == kClient);
  CHECK(opening.request.open_for == 30s);
  CHECK(opening.request.bound == Bound{Bound::How::yes, kClient});
  CHECK(opened(judge, {.ttl = 60s, .at = kNow + 1}).request.open_for == 60s);
  CHECK(opened(judge, {.ttl = 10s, .at = kNow + 2}).request.open_for == 10s);
  CHECK(opened(judge, {.ttl = 1h, .at = kNow + 3}).request.open_for == 5min); // ttl_max
}

TEST_CASE("what the engine says is tested again") {
  Judge judge;
  SUBCASE("altered") {
    for (std::size_t i = 0; i < 112; ++i) {
      auto record = judge.record({});
      record.plain.bytes[i] ^= 1U;
      CHECK(judge.why(record) == "kn1_signature");
    }
  }
  SUBCASE("another stamp, key or sender on it") {
    auto record = judge.record({});
    ++record.head.ts;
    CHECK(judge.why(record) == "kn1_signature");
    record = judge.record({});
    record.head.e[0] ^= 1U;
    CHECK(judge.why(record) == "kn1_signature");
    record = judge.record({});
    record.source = kOther;
    CHECK(judge.why(record) == "kn1_source");
    record = judge.record({});
    record.server[0] ^= 1U;
    CHECK(judge.why(record) == "kn1_kid");
    record.head.kid = {};
    CHECK(judge.why(record) == "kn1_kid");
  }
  SUBCASE("sent again, late, early") {
    const auto record = judge.record({});
    CHECK(judge.why(record) == "");
    CHECK(judge.why(record) == "kn1_replay");
    CHECK(judge.why({.at = kNow - 121 * kSecond}) == "kn1_age");
    CHECK(judge.why({.at = kNow + 31 * kSecond}) == "kn1_ahead");
  }
  CHECK(judge.why({.at = kNow + 9}) == ""); // and an honest one is accepted
}

TEST_CASE("each right that is missing has its reason, and spends no stamp") {
  const Asks unbound{.flag = kn1::Flag::unbound};
  const Asks for_other{.flag = kn1::Flag::for_src, .src = "198.51.100.7"};
  CHECK(Judge().why({.door = "nowhere"}) == "kn1_door");
  CHECK(Judge().why({.door = "web"}) == "kn1_door"); // it takes none
  CHECK(Judge().why({.door = "nas"}) == "kn1_user");
  CHECK(Judge("enabled = false\n").why(Asks{}) == "kn1_user");
  CHECK(Judge("until = 2026-11-01\n").why(Asks{}) == "kn1_dates");
  CHECK(Judge("from = 2027-01-01\n").why(Asks{}) == "kn1_dates");
  CHECK(Judge().why(unbound) == "kn1_unbound");
  CHECK(Judge("require_source = false\n").why(unbound) == "");
  CHECK(Judge().why({.src = "198.51.100.7"}) == "kn1_source");
  CHECK(Judge().why(for_other) == "kn1_for_src");
  CHECK(Judge("for_src = true\n").why(for_other) == "");
  CHECK(Judge("sources = [\"198.51.100.0/24\"]\n").why(Asks{}) == "kn1_sources");
  CHECK(Judge("sources = [\"203.0.113.0/24\"]\n").why(Asks{}) == "");
  CHECK(Judge().why({.src = "192.0.2.1", .from = "192.0.2.1"}) == "kn1_range"); // our own
  CHECK(Judge().why({.src = "127.0.0.1", .from = "127.0.0.1"}) == "kn1_range");
  CHECK(Judge().why({.op = kn1::Op::run}) == "kn1_op");
  CHECK(Judge().why({.door = "wake"}) == "kn1_op");
  CHECK(Judge().why({.door = "wake", .op = kn1::Op::run, .args = "12345678901234567"}) == "kn1_args");
}

TEST_CASE("a refused packet is told once in ten seconds for each reason, and can be right later") {
  Judge judge;
  for (int i = 0; i < 5; ++i) judge.judge(judge.record({.door = "nas"}));
  judge.judge(judge.record({.src = "198.51.100.7"}));
  REQUIRE(judge.lines.size() == 2);
  CHECK(judge.lines[0].text == "refused by=alice/laptop source=203.0.113.9 reason=user door=nas skew_ms=0");
  CHECK(judge.refused == Counts{{"kn1_user", 5}, {"kn1_source", 1}});
  judge.judge(judge.record({.door = "nas"}), kStart + 10s);
  CHECK(judge.lines.size() == 3);
  CHECK(judge.requests.seen().at("alice/laptop").refused->reason == "user");
  CHECK(judge.why(Asks{}) == "");
}

TEST_CASE("nothing is accepted while it cannot be noted") {
  Judge judge;
  judge.requests.set_unwritten(true);
  CHECK(judge.why(Asks{}) == "kn1_state");
  judge.requests.set_unwritten(false);
  CHECK(judge.why(Asks{}) == "");
}

TEST_CASE("a close means the device's own grants there, and nothing older opens behind it") {
  Judge judge;
  CHECK(judge.why({.op = kn1::Op::close, .at = kNow + 5}) == "");
  const auto& closing = std::get<Closing>(judge.jobs.back());
  CHECK(closing.which.door == "ssh");
  CHECK(closing.which.source == kClient);
  CHECK(closing.which.by == "alice/laptop");
  CHECK(closing.signed_packet);
  CHECK(judge.why({.at = kNow + 4}) == "kn1_floor");
  CHECK(judge.why({.at = kNow + 6}) == "");
}

TEST_CASE("a run carries what the client sent, and a refresh opens nothing") {
  Judge judge;
  const auto run = opened(judge, {.door = "wake", .op = kn1::Op::run, .args = "host 7\n"});
  CHECK_FALSE(run.opens);
  CHECK(run.signed_packet->input == "host 7\n");
  CHECK(run_of(*judge.config, *enabled_door(*judge.config, "wake"), run).by == "alice/laptop");
  CHECK(opened(judge, {.op = kn1::Op::refresh, .at = kNow + 1}).signed_packet->refresh);
}

TEST_CASE("no grant outlasts the device's access") {
  Judge judge("until = 2026-11-24T12:01:00Z\n"); // kNow is 12:00:00
  CHECK(opened(judge, {}).request.max == 60s);
  CHECK(judge.why({.at = kNow + 60 * kSecond}, kNow + 60 * kSecond) == "kn1_dates");
}

TEST_CASE("who has a shared secret alone is believed by it, and is within its own rights") {
  Judge judge;
  const auto opening = opened(judge, {.door = "nas", .flag = kn1::Flag::unbound, .signs = false});
  CHECK(opening.request.by == "bob/pc");
  CHECK(opening.request.bound == Bound{Bound::How::no, kClient});
}
