// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kinds.hpp>
#include <knock/word_search.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace knock;

namespace {

constexpr Port kTcp{Protocol::tcp, 7143};
constexpr Port kUdp{Protocol::udp, 12899};
constexpr Port kPing = echo_request(Protocol::icmp);

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Packet packet(Port port, std::string_view payload = {}, std::uint8_t flags = kTcpSyn) {
  Packet packet;
  packet.protocol = port.protocol;
  packet.port = port.number;
  packet.tcp_flags = flags;
  packet.length = static_cast<std::uint16_t>(payload.size());
  packet.payload = bytes_of(payload);
  return packet;
}

std::optional<std::uint32_t> plainly_longest(std::span<const std::string> words, std::string_view text) {
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < words.size(); ++i)
    if (text.find(words[i]) != text.npos && (!best || words[i].size() > words[*best].size())) best = i;
  return best;
}

} // namespace

TEST_CASE("a search finds the longest word, as plain searches for each do") {
  std::mt19937 random(7);
  const auto text = [&](std::size_t size) {
    std::string made;
    while (made.size() < size) made += "abc"[random() % 3];
    return made;
  };
  for (int round = 0; round < 2'000; ++round) {
    std::vector<std::string> words;
    for (auto left = 1 + random() % 6; left > 0; --left)
      if (auto word = text(1 + random() % 5); std::find(words.begin(), words.end(), word) == words.end())
        words.push_back(std::move(word));
    const WordSearch search(words);
    const auto payload = text(random() % 20);
    CAPTURE(payload);
    CHECK(search.longest_in(bytes_of(payload)) == plainly_longest(words, payload));
  }
}

TEST_CASE("a packet counts as the kind that says most: the longest word, its length, its port") {
  const PacketKind alone{kUdp}, length{kUdp, 0, 6}, word{kUdp, 0, {}, "open"}, longer{kUdp, 0, {}, "opens"};
  const Kinds kinds({alone, length, word, longer});
  CHECK(kinds.token_of(packet(kUdp, "x")) == kinds.token_of(alone));
  CHECK(kinds.token_of(packet(kUdp, "xxxxxx")) == kinds.token_of(length));
  CHECK(kinds.token_of(packet(kUdp, "..open")) == kinds.token_of(word));
  CHECK(kinds.token_of(packet(kUdp, ".opens")) == kinds.token_of(longer));
  CHECK(kinds.token_of(alone) == token_of(kUdp));
  CHECK(kinds.token_of(packet({Protocol::udp, 12898}, "opens")) == token_of(Port{Protocol::udp, 12898}));
}

TEST_CASE("flags are all six as they are; without a step that names any, only a SYN is a packet of ours") {
  const PacketKind odd{kTcp, kTcpFin | kTcpSyn};
  const Kinds kinds({odd, {kTcp}});
  CHECK(kinds.token_of(packet(kTcp, {}, kTcpFin | kTcpSyn)) == kinds.token_of(odd));
  CHECK(kinds.token_of(packet(kTcp, {}, 0x40 | kTcpFin | kTcpSyn)) ==
        kinds.token_of(odd)); // ECE: set on the way
  CHECK(kinds.token_of(packet(kTcp, {}, kTcpSyn)) == token_of(kTcp));
  CHECK(kinds.token_of(packet(kTcp, {}, kTcpSyn | kTcpPsh)) == token_of(kTcp));
  const auto near = kinds.token_of(packet(kTcp, {}, kTcpFin));
  REQUIRE(near);
  CHECK(sort_of(*near) == Sort::flags);
  CHECK(sort_of(kinds.token_of(odd)) == Sort::flags);
  CHECK_FALSE(Kinds({{kTcp}}).token_of(packet(kTcp, {}, kTcpFin)));
  CHECK_FALSE(Kinds({{kTcp}}).token_of(packet(kTcp, {}, kTcpSyn | kTcpAck)));
}

TEST_CASE("pings are asked when a step is one, over its family alone") {
  const Kinds sized({{kPing, 0, 42}});
  CHECK(sized.token_of(packet(kPing, std::string(42, 'x'))) == sized.token_of({kPing, 0, 42}));
  const auto near = sized.token_of(packet(kPing, "x"));
  REQUIRE(near);
  CHECK(*near != token_of(kPing));
  CHECK(sort_of(*near) == Sort::ping);
  CHECK(sort_of(sized.token_of({kPing, 0, 42})) == Sort::ping);
  CHECK_FALSE(sized.token_of(packet(echo_request(Protocol::icmp6), "x")));
  CHECK_FALSE(sized.token_of(packet({Protocol::icmp, 0}, "x"))); // an answer
  CHECK(Kinds({{kPing}}).token_of(packet(kPing, "x")) == token_of(kPing));
  CHECK_FALSE(Kinds({{kTcp}}).token_of(packet(kPing, "x")));
}

TEST_CASE("payloads are copied only for words") {
  CHECK(Kinds({{kTcp}, {kUdp, 0, 42}, {kPing, 0, 7}}).copy_bytes() == 128);
  CHECK(Kinds({{kUdp, 0, {}, "x"}}).copy_bytes() == 1'400);
}

TEST_CASE("a token is carried over to other kinds by what it means") {
  const Kinds before({{kUdp, 0, {}, "b"}, {kUdp, 0, 9}});
  const Kinds after({{kUdp, 0, {}, "a"}, {kUdp, 0, {}, "b"}});
  CHECK(after.carry_over(before.token_of({kUdp, 0, {}, "b"}), before) == after.token_of({kUdp, 0, {}, "b"}));
  CHECK_FALSE(after.carry_over(before.token_of({kUdp, 0, 9}), before));
  CHECK(after.carry_over(token_of(kTcp), before) == token_of(kTcp));
}
