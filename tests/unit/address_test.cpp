// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/address.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace knock;

TEST_CASE("the text of an address is that of RFC 5952") {
  // Each pair: as it may be written, as it is printed.
  const std::pair<const char*, const char*> texts[] = {
      {"203.0.113.9", "203.0.113.9"},
      {"255.255.255.255", "255.255.255.255"},
      {"0.0.0.0", "0.0.0.0"},
      {"2001:DB8::00A1", "2001:db8::a1"},               // 4.1, 4.3
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    // 4.2.3: the first of two runs
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          // the longer one
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, // 4.2.2: one zero is no run
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"0:0::1", "::1"},
      {"2001:db8::", "2001:db8::"},
      {"::ffff:cb00:7109", "::ffff:203.0.113.9"}, // 5: a prefix that says so
      {"::ffff:203.0.113.9", "::ffff:203.0.113.9"},
      {"64:ff9b::203.0.113.9", "64:ff9b::cb00:7109"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const auto& [written, printed] : texts) {
    const auto address = parse_address(written);
    REQUIRE_MESSAGE(address, written);
    CHECK(to_string(*address) == printed);
    CHECK(parse_address(printed) == address);
  }
}

TEST_CASE("nothing else is an address") {
  for (const char* text : {"",
                           ".",
                           ":",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.",
                           ".1.2.3",
                           "1.2.3.256",
                           "1.2.3.-4",
                           "0x1.2.3.4",
                           "16909060",
                           "1.2.3.04",
                           "00.0.0.0",
                           "010.0.0.1", // eight to some readers, ten to others
                           " 1.2.3.4",
                           "1.2.3.4 ",
                           "1.2.3.4/32",
                           "1.2.3.4:80", //
                           "fe80::1%eth0",
                           "fe80::1%2",
                           "[::1]",
                           "::1/128", // a zone is not part of it
                           ":::",
                           "1::2::3",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8",
                           ":1::2",
                           "1::2:",
                           "1::00001",
                           "::g",
                           "::1.2.3",
                           "::1.2.3.04",
                           "1.2.3.4::",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555"})
    CHECK_MESSAGE(!parse_address(text), text);
  CHECK_FALSE(parse_address(std::string_view("1.2.3.4\0", 8)));
  CHECK_FALSE(parse_address(std::string_view("::1\0x", 5)));
  CHECK_FALSE(parse_address(std::string(100'000, '1')));
}

TEST_CASE("a prefix has no host bits, and a length without leading zeros") {
  for (const char* text :
       {"192.0.2.0/24", "192.0.2.1/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1/128", "::/0"}) {
    const auto prefix = parse_prefix(text);
    REQUIRE_MESSAGE(prefix, text);
    CHECK(to_string(*prefix) == text);
  }
  CHECK(to_string(*parse_prefix("192.0.2.1")) == "192.0.2.1/32");
  CHECK(to_string(*parse_prefix("2001:db8::1")) == "2001:db8::1/128");
  for (const char* text : {"192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/024", "192.0.2.0/", "192.0.2.0/+8",
                           "192.0.2.0/8 ", "2001:db8::1/64", "2001:db8::/129", "/24", "192.0.2.0/24/24"})
    CHECK_MESSAGE(!parse_prefix(text), text);
}

TEST_CASE("a target is an address and a port, and IPv6 stands in brackets") {
  for (const char* text : {"192.0.2.20:443", "[2001:db8::20]:443", "[::ffff:192.0.2.20]:1"}) {
    const auto target = parse_target(text);
    REQUIRE_MESSAGE(target, text);
    CHECK(to_string(*target) == text);
  }
  for (const char* text :
       {"192.0.2.20", "192.0.2.20:0", "192.0.2.20:65536", "192.0.2.20:0443", "[192.0.2.20]:443",
        "2001:db8::20:443", "[2001:db8::20]", "[2001:db8::20:443", "[]:443", ":443"})
    CHECK_MESSAGE(!parse_target(text), text);
}
