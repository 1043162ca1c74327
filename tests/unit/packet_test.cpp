// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/packet.hpp>
#include <knock/policy.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <vector>

using namespace knock;

namespace {

using Octets = std::vector<unsigned>;

ParsedPacket parse(const Octets& octets, std::size_t cut = 10'000) {
  std::vector<std::byte> bytes;
  for (auto octet : octets) bytes.push_back(static_cast<std::byte>(octet));
  bytes.resize(std::min(bytes.size(), cut));
  return parse_packet(bytes);
}

Octets join(std::initializer_list<Octets> parts) {
  Octets all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

const Octets kTcp{0x9c, 0x40, 0x1b, 0xe7, 0, 0, 0, 5, 0, 0,
                  0,    0,    0x50, 2,    4, 0, 0, 0, 0, 0}; // 40000 -> 7143, seq 5, SYN
const Octets kUdp{0x9c, 0x40, 0x32, 0x63, 0, 8, 0, 0};       // 40000 -> 12899

Octets ipv4(unsigned protocol, const Octets& payload, unsigned fragment = 0, const Octets& options = {}) {
  const auto header = static_cast<unsigned>(20 + options.size());
  const auto total = static_cast<unsigned>(header + payload.size());
  return join({{0x40 | header / 4,
                0,
                total >> 8U,
                total & 255U,
                0,
                7,
                fragment >> 8U,
                fragment & 255U,
                64,
                protocol,
                0,
                0,
                203,
                0,
                113,
                9,
                203,
                0,
                113,
                1},
               options,
               payload});
}

Octets ipv6(unsigned next, const Octets& payload) {
  const auto size = static_cast<unsigned>(payload.size());
  return join({{0x60, 0, 0, 0, size >> 8U, size & 255U, next, 64},
               {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9},
               {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
               payload});
}

} // namespace

TEST_CASE("a SYN over IPv4 is source, port, flags and sequence number") {
  const auto [packet, reason] = parse(ipv4(6, kTcp));
  REQUIRE(reason == Unparsed::none);
  CHECK(to_string(packet.source) == "203.0.113.9");
  CHECK(packet.protocol == Protocol::tcp);
  CHECK(packet.port == 7143);
  CHECK(packet.source_port == 40'000);
  CHECK(packet.sequence == 5);
  CHECK(Kinds().token_of(packet) == token_of(Port{Protocol::tcp, 7143}));
}

TEST_CASE("UDP over IPv6 likewise, also behind extension headers") {
  const Octets hop{17, 0, 0, 0, 0, 0, 0, 0};
  for (const auto& octets : {ipv6(17, kUdp), ipv6(0, join({hop, kUdp}))}) {
    const auto [packet, reason] = parse(octets);
    REQUIRE(reason == Unparsed::none);
    CHECK(packet.port == 12'899);
  }
}

TEST_CASE("IPv4 with options is none of ours: a wrong option is dropped before a stray is seen") {
  CHECK(parse(ipv4(17, kUdp, 0x4000, {1, 1, 1, 1})).reason == Unparsed::extension);
}

TEST_CASE("fragments, first ones too, are none of ours") {
  CHECK(parse(ipv4(17, kUdp, 0x2000)).reason == Unparsed::fragment);
  CHECK(parse(ipv4(17, kUdp, 0x0001)).reason == Unparsed::fragment);
  CHECK(parse(ipv6(44, join({{17, 0, 0, 0, 0, 0, 0, 0}, kUdp}))).reason == Unparsed::fragment);
}

TEST_CASE("no chain of extension headers goes on for ever") {
  Octets chain;
  for (int i = 0; i < 9; ++i) chain = join({chain, {60, 0, 0, 0, 0, 0, 0, 0}});
  CHECK(parse(ipv6(60, join({chain, kUdp}))).reason == Unparsed::extension);
  CHECK(parse(ipv6(60, join({{17, 255}, Octets(6, 0), Octets(2040, 0), kUdp}))).reason ==
        Unparsed::extension);
}

TEST_CASE("every cut of a packet is refused, none is read beyond its end") {
  for (const auto& whole : {ipv4(6, kTcp), ipv6(6, kTcp)})
    for (std::size_t size = 0; size < whole.size(); ++size) CHECK(parse(whole, size).reason == Unparsed::cut);
}

TEST_CASE("only a SYN without ACK is a step or a stray") {
  auto packet = parse(ipv4(6, kTcp)).packet;
  packet.tcp_flags = kTcpSyn | kTcpAck;
  CHECK_FALSE(Kinds().token_of(packet));
  packet.tcp_flags = kTcpAck;
  CHECK_FALSE(Kinds().token_of(packet));
}

TEST_CASE("strange versions, lengths and protocols have their reasons") {
  CHECK(parse({0x50, 0, 0, 0}).reason == Unparsed::version);
  auto short_header = ipv4(6, kTcp);
  short_header[0] = 0x44;
  CHECK(parse(short_header).reason == Unparsed::version);
  CHECK(parse(ipv4(47, kUdp)).reason == Unparsed::protocol);
  CHECK(parse(ipv4(58, kUdp)).reason == Unparsed::protocol);
}
