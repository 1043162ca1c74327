// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/packet_path.hpp>

#include <doctest/doctest.h>

#include <string>

#include "../harness/allocations.hpp"
#include "../harness/capture.hpp"
#include "../harness/sequences.hpp"

using namespace knock;
using namespace std::chrono_literals;

namespace {

const Instant kStart{Seconds{1'000}};
const std::string kCaptures = KNOCKGATE_CAPTURES;

Step udp_step(std::uint16_t port) {
  return {{{Protocol::udp, port}}};
}

/// The doors of captures/knocks.py.
Policy policy() {
  std::vector<Sequence> doors{sequence("ssh", {}), sequence("nas", {})};
  doors[0].steps = {tcp_step(7143), udp_step(12899), tcp_step(4021)};
  doors[1].steps = {udp_step(33710), tcp_step(7143), udp_step(5001)};
  for (auto& door : doors) door.strays = 3;
  return *Policy::compile(doors, Millis{30'000});
}

std::vector<capture::Packet> packets_of(const std::string& name) {
  auto packets = capture::read(capture::bytes_of_file(kCaptures + "/" + name));
  REQUIRE(packets);
  REQUIRE(!packets->empty());
  return *packets;
}

struct Replayed {
  std::vector<std::string> opened;
  PacketCounts counts;
};

/// Reads the packets in wake-ups, each at the earliest `every` after the one before, and `late` after its last packet.
Replayed replay(const std::vector<capture::Packet>& packets, Instant::duration every = 0s,
                Instant::duration late = 0s) {
  PacketPath path(kTestWords, kTestKey);
  path.follow(policy());
  std::vector<Record> completed;
  completed.reserve(packets.size());
  const auto before = allocations;
  for (std::size_t from = 0, to = 0; from < packets.size(); from = to) {
    while (to < packets.size() && packets[to].stamp - packets[from].stamp <= every) ++to;
    const auto wall = packets[to - 1].stamp + late;
    const auto now = kStart + (wall - packets[0].stamp);
    path.wake(now, wall);
    for (auto at = from; at < to; ++at) path.read(packets[at].bytes, packets[at].stamp, completed);
    (void)path.sweep(now);
  }
  CHECK(allocations == before);
  Replayed replayed;
  replayed.counts = path.take_counts();
  for (const auto& one : completed)
    replayed.opened.push_back((one.kind == RecordKind::scan ? "scan "
                               : one.door == door_id("ssh") ? "ssh "
                                                            : "nas ") +
                              to_string(one.source));
  return replayed;
}

/// What captures/knocks.py says of each packet.
const std::vector<std::string> kOpened{"ssh 203.0.113.9", "ssh 198.51.100.7", "scan 203.0.113.66",
                                       "nas 2001:db8:1::10", "nas 203.0.113.20"};

void check(const PacketCounts& counts, const PacketCounts& expected) {
  CHECK(counts.seen == expected.seen);
  CHECK(counts.stale == expected.stale);
  CHECK(counts.cut == expected.cut);
  CHECK(counts.unparsed == expected.unparsed);
  CHECK(counts.not_step == expected.not_step);
  CHECK(counts.link_local == expected.link_local);
  CHECK(counts.step == expected.step);
  CHECK(counts.start == expected.start);
  CHECK(counts.stray == expected.stray);
  CHECK(counts.cooled == expected.cooled);
  CHECK(counts.late == expected.late);
  CHECK(counts.repeat == expected.repeat);
  CHECK(counts.evicted == expected.evicted);
  CHECK(counts.contended == expected.contended);
  CHECK(counts.opened == expected.opened);
}

} // namespace

TEST_CASE("a capture opens what its knocks complete, nothing else, and each packet is counted") {
  const auto replayed = replay(packets_of("knocks.pcap"));
  CHECK(replayed.opened == kOpened);
  PacketCounts expected;
  expected.seen = 41;
  expected.cut = 2;      // a TCP header of 19 bytes, over either family
  expected.unparsed = 5; // three fragments, version 5, GRE
  expected.not_step = 4; // SYN/ACK, ACK, echo request, a source that is never let in
  expected.link_local = 1;
  // One each for ssh (5: honest, in time, too late, scan, too slow) and nas (3: IPv6, the cut UDP, the last); the
  // second step of nas is the first of ssh, and begins that as well (2).
  expected.start = 10;
  expected.step = 11; // 2 honest, 2 swapped in time, 2 too late, 2 of IPv6, 1 too slow, 2 of the last
  expected.stray = 4;
  expected.cooled = 1;
  expected.late = 1;
  expected.repeat = 2;
  expected.opened = 4;
  check(replayed.counts, expected);
}

TEST_CASE("a knock as Debian's knock sends it opens, and the router's own answers are no steps") {
  const auto replayed = replay(packets_of("wire.pcap"));
  CHECK(replayed.opened == std::vector<std::string>{"ssh 192.0.2.9", "nas 2001:db8::9"});
  PacketCounts expected;
  expected.seen = 13;
  expected.not_step =
      7;              // three RST, three port unreachable, a neighbor advertisement; ARP is no report at all
  expected.start = 3; // tcp/7143 of nas begins ssh
  expected.step = 4;
  expected.opened = 2;
  check(replayed.counts, expected);
}

TEST_CASE("reports that wait for up to 15 s count as of their stamps") {
  const auto packets = packets_of("knocks.pcap");
  const auto at_once = replay(packets);
  for (const auto every : {5s, 14s}) {
    const auto waited = replay(packets, every, 1s);
    CHECK(waited.opened == kOpened);
    check(waited.counts, at_once.counts);
  }
}

TEST_CASE("reports that waited longer open nothing, and are counted") {
  const auto packets = packets_of("knocks.pcap");
  const auto replayed = replay(packets, 0s, 15'001ms);
  CHECK(replayed.opened.empty());
  PacketCounts expected;
  expected.seen = packets.size();
  expected.stale = packets.size();
  check(replayed.counts, expected);
}

TEST_CASE("a packet without a stamp counts as of its wake-up, and time never goes back") {
  const auto packets = packets_of("knocks.pcap"); // 0 to 3: SYN 7143, UDP 12899, a copy, SYN 4021
  PacketPath path(kTestWords, kTestKey);
  path.follow(policy());
  std::vector<Record> completed;
  const auto read = [&](std::size_t number, Instant::duration at,
                        std::optional<Instant::duration> stamp = {}) {
    path.wake(kStart + at, at);
    path.read(packets[number].bytes, stamp, completed);
  };
  SUBCASE("in time") {
    read(0, 20s);
    read(1, 25s);
    read(3, 29s);
    CHECK(completed.size() == 1);
  }
  SUBCASE("too late") {
    read(0, 20s);
    read(1, 25s);
    read(3, 31s);
    CHECK(completed.empty());
  }
  SUBCASE("an older stamp behind a younger one") {
    read(0, 20s, 20s);
    read(1, 20s, 18s); // by another processor's clock
    read(3, 21s, 21s);
    CHECK(completed.size() == 1);
  }
  SUBCASE("a stamp that is still to come") {
    read(0, 20s, 40s);
    read(1, 25s, 45s);
    read(3, 31s, 31s);
    CHECK(completed.empty());
  }
}

TEST_CASE("it wants to be called while a source knocks, and not when none does") {
  const auto packets = packets_of("knocks.pcap");
  PacketPath path(kTestWords, kTestKey);
  path.follow(policy());
  std::vector<Record> completed;
  CHECK_FALSE(path.sweep(kStart));
  path.wake(kStart, 0s);
  path.read(packets[0].bytes, {}, completed);
  CHECK(path.sweep(kStart) == kStart + 60s);
  CHECK(path.attempts(kStart + 9s) == 1);
  CHECK(path.attempts(kStart + 11s) == 0);
  CHECK_FALSE(path.sweep(kStart + 60s));
}

TEST_CASE("after a stall in which the clock of the attempts may have gone round they say nothing") {
  const auto packets = packets_of("knocks.pcap");
  PacketPath path(kTestWords, kTestKey);
  path.follow(policy());
  std::vector<Record> completed;
  path.wake(kStart, 0s);
  path.read(packets[0].bytes, {}, completed);
  path.read(packets[1].bytes, {}, completed);
  // 2^14 ticks of 16 ms: the attempts look as if they had just begun.
  const auto round = 16'384 * 16ms;
  path.wake(kStart + round, round);
  path.read(packets[3].bytes, {}, completed);
  CHECK(completed.empty());
}

TEST_CASE("what is cut, of another kind or no capture is refused") {
  const auto file = capture::bytes_of_file(kCaptures + "/wire.pcap");
  const auto whole = capture::read(file);
  REQUIRE(whole);
  std::size_t read = 0;
  for (std::size_t size = 0; size < file.size(); ++size)
    if (const auto some = capture::read(std::span(file).first(size))) ++read;
  CHECK(read == 15); // cut between two of 15 frames, or before the first
  auto other = file;
  other[20] = std::byte{113}; // LINUX_SLL
  CHECK_FALSE(capture::read(other));
  CHECK_FALSE(capture::read(capture::bytes_of_file(kCaptures + "/knocks.py")));
}
