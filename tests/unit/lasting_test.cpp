// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/lasting.hpp>

#include <doctest/doctest.h>

#include "../harness/keeper.hpp"

using namespace knock;

namespace {

const auto kConfig =
    config_of("[gate]\ntrust = [\"lan0\", \"198.51.100.0/24\"]\nalso = [\"2001:db8:20::/64\"]\n" +
              door_text("all", 7'000, "opens = [\"any\"]") + kSshDoor +
              door_text("cut", 7'200, "opens = [\"tcp/25\"]\nflows = \"cut\"") +
              door_text("fwd", 7'300, "forward = { \"tcp/8443\" = \"192.0.2.20:443\" }") +
              door_text("away", 7'400, "enabled = false\nopens = [\"tcp/110\"]") +
              door_text("wide", 7'500, "opens = [\"tcp/60000-61000\"]"));
const std::set<Address> kOwn{address("192.0.2.1"), address("2001:db8::1")};

Flow flow(const char* source, std::uint16_t port, const char* to = "192.0.2.1", std::uint16_t from = 50'000) {
  return {address(source), from, address(to), {Protocol::tcp, port}};
}

StatusGrant grant(std::string source, unsigned prefix, std::string port = "tcp/22") {
  StatusGrant one;
  one.source = std::move(source);
  one.prefix = prefix;
  one.ports = {std::move(port)};
  return one;
}

/// "DOOR" of each.
std::string found(const std::vector<Flow>& flows, const std::vector<StatusGrant>& grants = {}) {
  std::string names;
  const auto over_lan0 = [](const Address& source) { return source == address("203.0.113.20"); };
  for (const auto& one : lasting(flows, {*kConfig, grants, kOwn, over_lan0}))
    names += (names.empty() ? "" : " ") + one.door;
  return names;
}

} // namespace

TEST_CASE("what outlives its grant is at a port that a door opens or forwards, and keeps what is connected") {
  CHECK(found({flow("203.0.113.9", 22), flow("203.0.113.9", 8'443)}) == "ssh fwd");
  for (const std::uint16_t port : {std::uint16_t{25}, std::uint16_t{110}, std::uint16_t{80}})
    CHECK(found({flow("203.0.113.9", port)}).empty());
  CHECK(found({flow("2001:db8:9::9", 22, "2001:db8:20::20")}) == "ssh"); // of [gate] also
  CHECK(found({flow("203.0.113.9", 22, "192.0.2.99")}).empty());         // passes through
}

TEST_CASE(
    "a connection that conntrack heard first from its answer is its client's; one that we begin is not") {
  CHECK(found({flow("192.0.2.1", 50'000, "203.0.113.9", 22)}) == "ssh");
  CHECK(found({flow("192.0.2.1", 443, "203.0.113.9", 60'500)}).empty()); // from a port that the kernel chose
  CHECK(found({flow("192.0.2.1", 50'000, "203.0.113.9", 22)}, {grant("203.0.113.9", 32)}).empty());
}

TEST_CASE("a connection that conntrack does not know is added once, and none that we begin") {
  std::vector<Flow> flows{flow("203.0.113.9", 22), flow("192.0.2.1", 50'001, "203.0.113.10", 22)};
  const std::vector<Flow> sockets{
      flow("203.0.113.9", 22),                            // known
      flow("203.0.113.10", 22, "192.0.2.1", 50'001),      // known by its answer
      flow("203.0.113.9", 2'222, "192.0.2.1", 50'000),    // known, by another port before DNAT
      flow("203.0.113.11", 22),                           // idle since before conntrack
      flow("203.0.113.12", 60'500, "192.0.2.1", 443),     // ours
      flow("203.0.113.12", 60'500, "192.0.2.1", 50'000)}; // to a service at a high port
  add_unknown(flows, sockets);
  CHECK(std::vector(flows.begin() + 2, flows.end()) == std::vector{sockets[3], sockets[5]});
  CHECK(found(flows) == "ssh ssh ssh wide");
}

TEST_CASE("what is trusted, ours, or covered by an open grant outlives nothing") {
  CHECK(found({flow("198.51.100.9", 22)}).empty());
  CHECK(found({flow("203.0.113.20", 22)}).empty());
  CHECK(found({flow("192.0.2.1", 22)}).empty());
  CHECK(found({flow("203.0.113.9", 22)}, {grant("203.0.113.9", 32)}).empty());
  CHECK(found({flow("203.0.113.9", 22)}, {grant("203.0.113.9", 32, "tcp/8443")}) == "ssh");
  CHECK(found({flow("203.0.113.9", 22)}, {grant("203.0.113.0", 24)}).empty());
  CHECK(found({flow("203.0.113.9", 22)}, {grant("203.0.113.0", 32)}) == "ssh"); // an address, not a prefix
  CHECK(found({flow("2001:db8:9::9", 22, "2001:db8::1")}, {grant("2001:db8:9::", 64)}).empty());
  auto session = grant("203.0.113.9", 32);
  session.source_port = 50'000;
  CHECK(found({flow("203.0.113.9", 22)}, {session}).empty());
  CHECK(found({flow("203.0.113.9", 22, "192.0.2.1", 50'001)}, {session}) == "ssh");
}

TEST_CASE("a wide range is looked into, of a door and of a grant") {
  CHECK(found({flow("203.0.113.9", 60'500), flow("203.0.113.9", 61'001)}) == "wide");
  CHECK(found({flow("203.0.113.9", 60'500)}, {grant("203.0.113.9", 32, "tcp/60000-61000")}).empty());
  CHECK(found({flow("203.0.113.9", 60'500)}, {grant("203.0.113.9", 32, "tcp/60501-61000")}) == "wide");
}

TEST_CASE("they are counted by door and source") {
  const auto flows = {flow("203.0.113.9", 22), flow("203.0.113.9", 22, "192.0.2.1", 50'001),
                      flow("203.0.113.8", 22)};
  const auto rows = counted(lasting(flows, {*kConfig, {}, kOwn, [](const Address&) { return false; }}));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].source == "203.0.113.8");
  CHECK(rows[1].source == "203.0.113.9");
  CHECK(rows[1].count == 2);
}
