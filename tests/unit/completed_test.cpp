// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completed.hpp>

#include <doctest/doctest.h>

#include <cstring>

using namespace knock;

namespace {

Completed grant_of(std::string_view door, std::string_view source) {
  Completed grant;
  grant.door = door_id(door);
  grant.source = *parse_address(source);
  return grant;
}

std::span<const std::byte> bytes_of(const std::vector<Completed>& grants) {
  return std::as_bytes(std::span(grants));
}

} // namespace

TEST_CASE("records of a datagram come out as they went in") {
  const std::vector<Completed> sent{grant_of("ssh", "203.0.113.9"), grant_of("nas", "2001:db8::1")};
  std::vector<Completed> read;
  REQUIRE(parse_completed(bytes_of(sent), read));
  REQUIRE(read.size() == 2);
  CHECK(read[0].door == door_id("ssh"));
  CHECK(to_string(read[1].source) == "2001:db8::1");
}

TEST_CASE("a datagram of another length than 1 to 64 whole records is refused") {
  const std::vector<Completed> many(kMaxCompleted + 1, grant_of("ssh", "203.0.113.9"));
  const auto bytes = bytes_of(many);
  std::vector<Completed> read;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{31}, std::size_t{33}, bytes.size(), bytes.size() - 1})
    CHECK_FALSE(parse_completed(bytes.first(size), read));
  CHECK(read.empty());
  CHECK(parse_completed(bytes.first(kMaxCompleted * sizeof(Completed)), read));
  CHECK(read.size() == kMaxCompleted);
}

TEST_CASE("one wrong record refuses its whole datagram") {
  std::vector<Completed> sent(3, grant_of("ssh", "203.0.113.9"));
  std::vector<Completed> read;
  SUBCASE("a reserved byte") {
    sent[2].reserved[1] = 1;
  }
  SUBCASE("an unknown family") {
    sent[2].source.family = static_cast<Family>(5);
  }
  SUBCASE("IPv4 with more than four octets") {
    sent[2].source.octets[4] = 1;
  }
  CHECK_FALSE(parse_completed(bytes_of(sent), read));
  CHECK(read.empty());
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
