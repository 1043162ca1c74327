// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/record.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace knock;

namespace {

Record completed(std::string_view door, std::string_view source, std::uint32_t sequence = 0) {
  return {RecordKind::knock, door_id(door), *parse_address(source), sequence};
}

std::vector<std::byte> datagram_of(const std::vector<Record>& all) {
  std::vector<std::byte> datagram;
  for (const auto& one : all) encode(one, datagram);
  return datagram;
}

} // namespace

TEST_CASE("records of a datagram come out as they went in") {
  Records read;
  REQUIRE(parse_records(
      datagram_of({completed("ssh", "203.0.113.9"), completed("nas", "2001:db8::1", 0x01020304)}), read));
  REQUIRE(read.completed.size() == 2);
  CHECK(read.completed[0].door == door_id("ssh"));
  CHECK(to_string(read.completed[0].source) == "203.0.113.9");
  CHECK(read.completed[0].sequence == 0);
  CHECK(to_string(read.completed[1].source) == "2001:db8::1");
  CHECK(read.completed[1].sequence == 0x01020304);
}

TEST_CASE("a record begins with its kind, and has the length of its kind") {
  const auto datagram = datagram_of({completed("ssh", "203.0.113.9"), completed("ssh", "203.0.113.9")});
  CHECK(datagram.size() == 2 * kRecordBytes);
  CHECK(datagram[0] == std::byte{1});
  CHECK(datagram[kRecordBytes] == std::byte{1});
}

TEST_CASE("closing knocks and scanners come out as they went in, among knocks") {
  auto closing = completed("ssh", "203.0.113.9", 7);
  closing.kind = RecordKind::closing;
  const Record scan{RecordKind::scan, {}, *parse_address("2001:db8::1"), 0};
  const auto datagram = datagram_of({completed("ssh", "203.0.113.9"), closing, scan, closing});
  CHECK(datagram.size() == 4 * kRecordBytes);
  CHECK(datagram[kRecordBytes] == std::byte{2});
  CHECK(datagram[2 * kRecordBytes] == std::byte{3});
  Records read;
  REQUIRE(parse_records(datagram, read));
  REQUIRE(read.completed.size() == 4);
  CHECK(read.completed[0].kind == RecordKind::knock);
  CHECK(read.completed[1].kind == RecordKind::closing);
  CHECK(read.completed[1].door == door_id("ssh"));
  CHECK(read.completed[1].sequence == 7);
  CHECK(read.completed[2].kind == RecordKind::scan);
  CHECK(read.completed[2].source == scan.source);
  CHECK(read.completed[3].kind == RecordKind::closing);
}

TEST_CASE("what a signed packet asks for comes out as it went in, in every size, among knocks") {
  std::vector<std::byte> datagram;
  encode(completed("ssh", "203.0.113.9"), datagram);
  std::vector<Kn1Record> asked;
  for (const auto size : kn1::kSizes) {
    auto& one = asked.emplace_back();
    one.server.fill(1);
    one.head = {{2}, {{3}}, 4};
    one.source = *parse_address(size == 192 ? "203.0.113.9" : "2001:db8::1");
    one.plain.size = size - kn1::kOverhead;
    one.plain.bytes.fill(static_cast<std::uint8_t>(size));
    encode(one, datagram);
  }
  encode(completed("nas", "203.0.113.9"), datagram);
  Records read;
  REQUIRE(parse_records(datagram, read));
  CHECK(read.completed.size() == 2);
  REQUIRE(read.kn1.size() == asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto &went = asked[i], &came = read.kn1[i];
    CHECK(came.server == went.server);
    CHECK(came.head.e == went.head.e);
    CHECK(came.head.kid == went.head.kid);
    CHECK(came.head.ts == went.head.ts);
    CHECK(came.source == went.source);
    CHECK(came.plain.size == went.plain.size);
    CHECK(std::equal(came.plain.bytes.begin(), came.plain.bytes.begin() + static_cast<int>(came.plain.size),
                     went.plain.bytes.begin()));
  }
  read.clear();
  for (std::size_t size = 1; size < datagram.size(); ++size)
    if (!parse_records(std::span(datagram).first(size), read))
      CHECK(read.empty());
    else
      read.clear();
  datagram[kRecordBytes + 1] = std::byte{1}; // no size of a signed packet
  CHECK_FALSE(parse_records(datagram, read));
}

TEST_CASE("a datagram of other than 1 to 64 whole records is refused") {
  const auto datagram = datagram_of(std::vector(kMaxRecords + 1, completed("ssh", "203.0.113.9")));
  const std::span bytes(datagram);
  Records read;
  CHECK_FALSE(parse_records({}, read));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    if (size % kRecordBytes != 0) CHECK_FALSE(parse_records(bytes.first(size), read));
  CHECK_FALSE(parse_records(bytes, read));
  CHECK(read.empty());
  CHECK(parse_records(bytes.first(kMaxRecords * kRecordBytes), read));
  CHECK(read.completed.size() == kMaxRecords);
}

TEST_CASE("one wrong record refuses its whole datagram, and what was read before it stays") {
  auto datagram = datagram_of(std::vector(3, completed("ssh", "203.0.113.9")));
  const auto last = std::span(datagram).last(kRecordBytes);
  SUBCASE("an unknown kind") {
    last[0] = std::byte{5};
  }
  SUBCASE("a length of another kind") {
    last[1] = std::byte{28};
  }
  SUBCASE("no kind") {
    last[0] = std::byte{0};
  }
  SUBCASE("a scan with a door") {
    last[0] = std::byte{3};
  }
  SUBCASE("a scan with a sequence") {
    const Record scan{RecordKind::scan, {}, *parse_address("203.0.113.9"), 1};
    std::ranges::copy(datagram_of({scan}), last.begin());
  }
  SUBCASE("an unknown family") {
    last[11] = std::byte{5};
  }
  SUBCASE("IPv4 with more than four octets") {
    last[16] = std::byte{1};
  }
  Records read{{completed("nas", "2001:db8::1")}, {}};
  CHECK_FALSE(parse_records(datagram, read));
  REQUIRE(read.completed.size() == 1);
  CHECK(read.completed[0].door == door_id("nas"));
}

TEST_CASE("what can never be a peer from elsewhere gets no grant") {
  for (const char* text :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.1.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "febf::1", "ff02::1", "::ffff:203.0.113.9"})
    CHECK_MESSAGE(!grantable(*parse_address(text)), text);
  for (const char* text :
       {"203.0.113.9", "10.0.0.1", "169.253.0.1", "2001:db8::1", "fec0::1", "fd00::1", "64:ff9b::cb00:7109"})
    CHECK_MESSAGE(grantable(*parse_address(text)), text);
}
