// SPDX-License-Identifier: GPL-2.0-or-later
// Which elements of a batch the kernel refuses, and which of them are read back, in tables made by nft: each case in a
// network namespace.
#include "netlink/nftables.hpp"

#include <algorithm>
#include <cerrno>

#include "../harness/own_namespace.hpp"

using namespace knock;
using namespace knock::netlink;

namespace {

constexpr auto kSmallSets =
    "table inet t {\n"
    "  set open4 { type ipv4_addr . inet_proto . inet_service; flags timeout; size 2; }\n"
    "  set open6 { type ipv6_addr . inet_proto . inet_service; flags timeout; size 1; }\n"
    "  set net4 { type ipv4_addr . inet_proto . inet_service; flags timeout; size 400; }\n"
    "  map forward4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; flags timeout; "
    "}\n"
    "}\n";

const Target kInner{*parse_address("192.0.2.20"), 443};

Change put(GrantSet set, std::string_view address, std::uint16_t port) {
  Change change{Change::Kind::put, {*parse_address(address), {Protocol::tcp, port}, set}};
  change.timeout = Seconds{60};
  change.comment = "ssh - knock 1 2";
  if (set == GrantSet::forward) change.held = change.target = kInner;
  return change;
}

struct World {
  Nftables ours = *Nftables::open();

  explicit World(const std::string& more = {}) { nft(kSmallSets + more); }

  /// What the kernel names when it refuses the batch, in the order of the batch.
  std::vector<Refused> refused(const Batch& batch) {
    std::vector<Refused> refused;
    CHECK_FALSE(ours.commit(batch, "t", &refused));
    std::sort(refused.begin(), refused.end(), [](const Refused& a, const Refused& b) { return a.at < b.at; });
    return refused;
  }
  std::size_t count(const std::string& set) { return ours.elements("t", set)->size(); }
};

/// The batch without what was refused.
Batch without(Batch batch, const std::vector<Refused>& refused) {
  for (auto one = refused.rbegin(); one != refused.rend(); ++one)
    batch.erase(batch.begin() + static_cast<std::ptrdiff_t>(one->at));
  return batch;
}

} // namespace

TEST_CASE("of several sets, the first that finds no room in each is named, and the rest fits without it") {
  if (!enter_namespace()) return;
  World world;
  const Batch batch{put(GrantSet::open, "2001:db8::1", 22),   put(GrantSet::open, "203.0.113.1", 22),
                    put(GrantSet::net, "203.0.113.0", 22),    put(GrantSet::open, "203.0.113.2", 22),
                    put(GrantSet::open, "203.0.113.3", 22),   put(GrantSet::open, "2001:db8::2", 22),
                    put(GrantSet::forward, "203.0.113.4", 80)};
  const auto refused = world.refused(batch);
  CHECK(refused == std::vector<Refused>{{4, ENFILE}, {5, ENFILE}});
  CHECK(world.count("open4") + world.count("open6") + world.count("net4") == 0); // all or nothing
  CHECK(world.ours.commit(without(batch, refused), "t"));
  CHECK(world.count("open4") == 2);
  // What is there is put anew also in a full set: only the new one is refused.
  const Batch again{put(GrantSet::open, "203.0.113.9", 22), put(GrantSet::open, "203.0.113.1", 22)};
  CHECK(world.refused(again) == std::vector<Refused>{{0, ENFILE}});
}

TEST_CASE("an element refused for another reason is named, and none that fails for its sake") {
  if (!enter_namespace()) return;
  World world("add element inet t forward4 { 203.0.113.5 . tcp . 80 : 192.0.2.99 . 80 }\n");
  const Batch batch{put(GrantSet::forward, "203.0.113.4", 80), put(GrantSet::forward, "203.0.113.5", 80),
                    put(GrantSet::forward, "203.0.113.6", 80)};
  const auto refused = world.refused(batch); // where it leads is not what we hold
  CHECK(refused == std::vector<Refused>{{1, EEXIST}});
  CHECK(world.ours.commit(batch, "t").error().advice.find("close foreign") != std::string::npos);
  CHECK(world.ours.commit(without(batch, refused), "t"));
  CHECK(world.count("forward4") == 3);
}

TEST_CASE("a large batch names one of every message, and comes through without these") {
  if (!enter_namespace()) return;
  World world;
  Batch batch;
  for (std::uint16_t port = 1; port <= 1'300; ++port)
    batch.push_back(put(GrantSet::net, "203.0.113.0", port));
  std::vector<Refused> refused = world.refused(batch);
  REQUIRE(refused.size() == 8); // 400 find room: in the fourth message of 128 begins what does not
  CHECK(refused.front() == Refused{400, ENFILE});
  CHECK(refused.back() == Refused{1'280, ENFILE});
  while (!world.ours.commit(batch = without(batch, refused), "t")) refused = world.refused(batch);
  CHECK(world.count("net4") == 400);
}

TEST_CASE("a table or set that is missing names no element") {
  if (!enter_namespace()) return;
  World world;
  CHECK(world.refused({put(GrantSet::uses, "203.0.113.1", 22)}).empty());
  nft("delete table inet t");
  CHECK(world.refused({put(GrantSet::open, "203.0.113.1", 22)}).empty());
  CHECK(world.ours.commit({put(GrantSet::open, "203.0.113.1", 22)}, "t").error().code == ENOENT);
}

TEST_CASE("elements that stay are all listed while the kernel throws out those that ended") {
  if (!enter_namespace()) return;
  nft("table inet t {\n"
      "  set open4 { type ipv4_addr . inet_proto . inet_service; flags timeout; size 65535; }\n"
      "}\n");
  auto ours = *Nftables::open();
  Batch lasting;
  for (std::uint16_t port = 1; port <= 1'000; ++port)
    lasting.push_back(put(GrantSet::open, "203.0.113.1", port));
  REQUIRE(ours.commit(lasting, "t"));
  std::size_t listings = 0, lacking = 0;
  for (int round = 1; round <= 8;
       ++round) { // a collection each second, and a listing is under way in most of them
    Batch passing;
    for (std::uint16_t port = 1; port <= 1'000; ++port) {
      passing.push_back(put(GrantSet::open, "198.51.100.1", port));
      passing.back().timeout = Millis{100 + port};
    }
    REQUIRE(ours.commit(passing, "t"));
    for (bool passes = true; passes; ++listings) {
      const auto found = *ours.elements("t", "open4");
      const auto stay = std::count_if(found.begin(), found.end(), [](const wire::RawElement& element) {
        return element.key.front() == std::byte{203};
      });
      if (stay != 1'000) ++lacking;
      passes = found.size() > 1'000;
    }
  }
  MESSAGE(listings, " listings");
  CHECK(lacking == 0);
}
