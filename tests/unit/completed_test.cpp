// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completed.hpp>

#include <doctest/doctest.h>

using namespace knock;

namespace {

Completed completed(std::string_view door, std::string_view source, std::uint32_t sequence = 0) {
  return {door_id(door), *parse_address(source), sequence};
}

std::vector<std::byte> datagram_of(const std::vector<Completed>& all) {
  std::vector<std::byte> datagram;
  for (const auto& one : all) encode(one, datagram);
  return datagram;
}

} // namespace

TEST_CASE("records of a datagram come out as they went in") {
  std::vector<Completed> read;
  REQUIRE(parse_records(
      datagram_of({completed("ssh", "203.0.113.9"), completed("nas", "2001:db8::1", 0x01020304)}), read));
  REQUIRE(read.size() == 2);
  CHECK(read[0].door == door_id("ssh"));
  CHECK(to_string(read[0].source) == "203.0.113.9");
  CHECK(read[0].sequence == 0);
  CHECK(to_string(read[1].source) == "2001:db8::1");
  CHECK(read[1].sequence == 0x01020304);
}

TEST_CASE("a record begins with its kind, and has the length of its kind") {
  const auto datagram = datagram_of({completed("ssh", "203.0.113.9"), completed("ssh", "203.0.113.9")});
  CHECK(datagram.size() == 2 * kCompletedBytes);
  CHECK(datagram[0] == std::byte{1});
  CHECK(datagram[kCompletedBytes] == std::byte{1});
}

TEST_CASE("a datagram of other than 1 to 64 whole records is refused") {
  const auto datagram = datagram_of(std::vector(kMaxRecords + 1, completed("ssh", "203.0.113.9")));
  const std::span bytes(datagram);
  std::vector<Completed> read;
  CHECK_FALSE(parse_records({}, read));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    if (size % kCompletedBytes != 0) CHECK_FALSE(parse_records(bytes.first(size), read));
  CHECK_FALSE(parse_records(bytes, read));
  CHECK(read.empty());
  CHECK(parse_records(bytes.first(kMaxRecordBytes), read));
  CHECK(read.size() == kMaxRecords);
}

TEST_CASE("one wrong record refuses its whole datagram, and what was read before it stays") {
  auto datagram = datagram_of(std::vector(3, completed("ssh", "203.0.113.9")));
  const auto last = std::span(datagram).last(kCompletedBytes);
  SUBCASE("an unknown kind") {
    last[0] = std::byte{2};
  }
  SUBCASE("no kind") {
    last[0] = std::byte{0};
  }
  SUBCASE("an unknown family") {
    last[9] = std::byte{5};
  }
  SUBCASE("IPv4 with more than four octets") {
    last[14] = std::byte{1};
  }
  std::vector<Completed> read{completed("nas", "2001:db8::1")};
  CHECK_FALSE(parse_records(datagram, read));
  REQUIRE(read.size() == 1);
  CHECK(read[0].door == door_id("nas"));
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
