// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/binding.hpp>

#include <doctest/doctest.h>

using namespace knock;

namespace {

Address at(std::string_view text) {
  const auto address = parse_address(text);
  REQUIRE_MESSAGE(address, text);
  return *address;
}

std::optional<kn1::Flag> flag(const Profile& profile, std::string_view local, std::string_view router,
                              std::span<const Prefix> nat64 = {}) {
  const auto binding = binding_of(profile, at(local), at(router), nat64);
  return binding ? std::optional(binding->flag) : std::nullopt;
}

constexpr auto kGlobal4 = "192.175.48.6"; // of AS112 (RFC 7534), which IANA calls globally reachable
constexpr auto kGlobal6 = "2620:4f:8000::6";

} // namespace

TEST_CASE("an address that the whole Internet cannot reach is none to bind to") {
  for (const auto* special :
       {"0.0.0.0",     "10.1.2.3",       "100.64.0.1",       "100.127.255.255", "127.0.0.1",
        "169.254.1.1", "172.16.0.1",     "172.31.255.255",   "192.0.0.1",       "192.0.2.1",
        "192.88.99.1", "192.168.255.1",  "198.18.0.1",       "198.19.255.255",  "198.51.100.7",
        "203.0.113.9", "224.0.0.1",      "240.0.0.1",        "255.255.255.255", "::",
        "::1",         "::ffff:9.9.9.9", "64:ff9b::909:909", "64:ff9b:1::1",    "100::1",
        "2001::1",     "2001:20::1",     "2001:db8::1",      "2002:909:909::1", "3fff::1",
        "3fff:fff::1", "5f00::1",        "fc00::1",          "fd00::1",         "fe80::1",
        "ff02::1"})
    CHECK_MESSAGE(!is_global(at(special)), special);
  for (const auto* global :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255",
        "172.32.0.0", "192.0.1.0", "192.0.3.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", kGlobal4,
        kGlobal6, "2001:3::1", "2001:4:112::1", "2001:200::1", "2003::1", "3fff:1000::1"})
    CHECK_MESSAGE(is_global(at(global)), global);
}

TEST_CASE(
    "the prefix that a network translates from is read from an answer, at each length (RFC 6052, 2.4)") {
  const auto prefix = [](std::string_view text) {
    const auto found = nat64_prefix(at(text));
    return found ? to_string(*found) : std::string();
  };
  CHECK(prefix("64:ff9b::192.0.0.170") == "64:ff9b::/96");
  CHECK(prefix("2001:db8:122:344::192.0.0.171") == "2001:db8:122:344::/96");
  CHECK(prefix("2001:db8:c000:aa::") == "2001:db8::/32");
  CHECK(prefix("2001:db8:1c0:0:aa::") == "2001:db8:100::/40");
  CHECK(prefix("2001:db8:122:c000:0:aa00::") == "2001:db8:122::/48");
  CHECK(prefix("2001:db8:122:3c0:0:aa::") == "2001:db8:122:300::/56");
  CHECK(prefix("2001:db8:122:344:c0:0:aa00::") == "2001:db8:122:344::/64");
  CHECK(prefix("2001:db8::1").empty());
  CHECK(prefix("192.0.0.170").empty());
}

TEST_CASE("automatic: bound from a public address, unbound from another, never where the router takes none") {
  Profile profile;
  CHECK(flag(profile, kGlobal4, "9.9.9.9") == kn1::Flag::bound);
  CHECK(binding_of(profile, at(kGlobal4), at("9.9.9.9"), {})->source == at(kGlobal4));
  CHECK(flag(profile, "192.168.1.2", "9.9.9.9") == kn1::Flag::unbound);
  CHECK_FALSE(binding_of(profile, at("192.168.1.2"), at("9.9.9.9"), {})->source);
  profile.require_source = true;
  CHECK(flag(profile, kGlobal4, "9.9.9.9") == kn1::Flag::bound);
  CHECK_FALSE(flag(profile, "192.168.1.2", "9.9.9.9"));
}

TEST_CASE("through NAT64 the router sees another source, so nothing is bound") {
  Profile profile;
  const std::vector<Prefix> own{*parse_prefix("2a00:1234:64::/96")};
  CHECK(flag(profile, kGlobal6, "2620:fe::9") == kn1::Flag::bound);
  CHECK(flag(profile, kGlobal6, "64:ff9b::909:909") == kn1::Flag::unbound);
  CHECK(flag(profile, kGlobal6, "2a00:1234:64::909:909", own) == kn1::Flag::unbound);
  CHECK(flag(profile, kGlobal6, "2a00:1234:65::909:909", own) == kn1::Flag::bound);
}

TEST_CASE("a profile that says bound is never sent unbound, and one that says unbound never bound") {
  Profile profile;
  profile.source = Profile::Source::bound;
  CHECK(flag(profile, "192.168.1.2", "9.9.9.9") == kn1::Flag::bound);
  profile.source = Profile::Source::unbound;
  CHECK(flag(profile, kGlobal4, "9.9.9.9") == kn1::Flag::unbound);
  profile.require_source = true;
  CHECK_FALSE(flag(profile, kGlobal4, "9.9.9.9"));
}

TEST_CASE("a public address that is written is what packets of its family are bound to") {
  Profile profile;
  profile.source = Profile::Source::address;
  profile.address = at("192.31.196.7");
  const auto four = binding_of(profile, at("10.0.0.2"), at("9.9.9.9"), {});
  REQUIRE(four);
  CHECK(four->flag == kn1::Flag::bound);
  CHECK(four->source == at("192.31.196.7"));
  CHECK(flag(profile, kGlobal6, "2620:fe::9") == kn1::Flag::bound);
  CHECK_FALSE(flag(profile, "fd00::2", "2620:fe::9")); // not unbound in its place
}
