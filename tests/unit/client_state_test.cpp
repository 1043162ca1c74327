// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_state.hpp>

#include <doctest/doctest.h>

#include <limits>

using namespace knock;
using namespace std::chrono_literals;

namespace {

constexpr Wall kNow{1'795'508'321'000'000'000};
const Address kRouter = *parse_address("203.0.113.1");
const Address kOurs = *parse_address("198.51.100.7");

Knocked knocked(std::string door, Wall at = kNow, Wall lasts = 30s) {
  Knocked one;
  one.way = {std::move(door), kRouter, kOurs, kOurs};
  one.bound = true;
  one.at = at;
  one.until = at + lasts;
  one.seen = Knocked::Seen::open;
  return one;
}

const std::string kText =
    "knockgate 1\nstamp 01795508321000000000\nopened 1\n"
    "knock ssh 203.0.113.1 198.51.100.7 198.51.100.7 bound 1795508321000000000 1795508351000000000 open\n"
    "knock nas 2001:db8:7::1 2001:db8::9 2001:db8::8 unbound 0 1 sent\n";

} // namespace

TEST_CASE("a state is read as it is written") {
  const auto state = parse_client_state(kText);
  REQUIRE(state);
  CHECK(state->stamp == 1'795'508'321'000'000'000);
  CHECK(state->ever_opened);
  REQUIRE(state->knocked.size() == 2);
  CHECK(state->knocked[0] == knocked("ssh"));
  CHECK(state->knocked[1].way.granted == parse_address("2001:db8::8"));
  CHECK(state->knocked[1].way.router == parse_address("2001:db8:7::1"));
  CHECK(!state->knocked[1].bound);
  CHECK(state->knocked[1].seen == Knocked::Seen::sent);
  CHECK(encode(*state) == kText);
  CHECK(encode(ClientState{}) == "knockgate 1\nstamp 00000000000000000000\nopened 0\n");
  CHECK(parse_client_state(encode(ClientState{})) == ClientState{});
}

TEST_CASE("the line of the stamp has one size, and the greatest stamp fits") {
  ClientState state;
  const auto size = encode(state).size();
  state.stamp = std::numeric_limits<std::uint64_t>::max();
  CHECK(encode(state).size() == size);
  CHECK(parse_client_state(encode(state)) == state);
}

TEST_CASE("what is written in another way is no state") {
  const auto head = kText.substr(0, kText.find("knock "));
  const auto line = kText.substr(head.size(), kText.find('\n', head.size()) + 1 - head.size());
  REQUIRE(parse_client_state(head + line));
  for (std::size_t cut = 0; cut < kText.size(); ++cut)
    if (cut != head.size() && cut != head.size() + line.size())
      CHECK_MESSAGE(!parse_client_state(kText.substr(0, cut)), cut);
  const auto with = [&](std::string_view from, std::string_view to) {
    auto text = head + line;
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    return parse_client_state(text.replace(at, from.size(), to)).has_value();
  };
  CHECK(!with("knockgate 1", "knockgate 2"));
  CHECK(!with("stamp 0", "stamp "));
  CHECK(!with("stamp 01795508321000000000", "stamp 18446744073709551616"));
  CHECK(!with("stamp 0", "stamp -"));
  CHECK(!with("opened 1", "opened 2"));
  CHECK(!with("opened 1", "opened 01"));
  CHECK(!with(" ssh ", " SSH "));
  CHECK(!with(" ssh ", "  "));
  CHECK(!with("203.0.113.1", "203.0.113.256"));
  CHECK(!with("203.0.113.1", "::ffff:0203:1"));
  CHECK(!with(" bound", " Bound"));
  CHECK(!with("1795508321000000000 ", "-1 "));
  CHECK(!with("1795508351000000000", "9223372036854775808"));
  CHECK(with("1795508351000000000", "9223372036854775807"));
  CHECK(!with(" open\n", " shut\n"));
  CHECK(!with(" open\n", " open \n"));
  CHECK(!with(" open\n", " open\r\n"));
  CHECK(!parse_client_state(head + line + line)); // a way twice
  CHECK(!parse_client_state(head + line + "\n"));
  CHECK(!parse_client_state(kText + std::string(kMaxClientState, ' ')));
}

TEST_CASE("a stamp is the clock's, and never the same twice") {
  ClientState state;
  CHECK(next_stamp(state, kNow, false) == 1'795'508'321'000'000'000);
  CHECK(next_stamp(state, kNow, false) == 1'795'508'321'000'000'001);
  CHECK(next_stamp(state, kNow - 119s, false) == 1'795'508'321'000'000'002); // behind by less than 120 s
  CHECK(state.stamp == 1'795'508'321'000'000'002);
  CHECK(next_stamp(state, kNow + 1s, false) == 1'795'508'322'000'000'000);
}

TEST_CASE("a last stamp 120 s ahead or more was of a wrong clock") {
  ClientState state;
  state.stamp = static_cast<std::uint64_t>((kNow + 120s).count());
  CHECK(next_stamp(state, kNow, false) == static_cast<std::uint64_t>(kNow.count()));
  state.stamp = static_cast<std::uint64_t>((kNow + 120s).count()) - 1;
  CHECK(next_stamp(state, kNow, false) == static_cast<std::uint64_t>((kNow + 120s).count()));
  state.stamp = std::numeric_limits<std::uint64_t>::max();
  CHECK(next_stamp(state, kNow, false) == static_cast<std::uint64_t>(kNow.count()));
  CHECK(next_stamp(state, Wall{-5}, false) == 0); // a clock before 1970 counts from there
}

TEST_CASE("a counter counts, whatever the clock") {
  ClientState state;
  CHECK(next_stamp(state, kNow, true) == 1);
  CHECK(next_stamp(state, kNow, true) == 2);
  state.stamp = static_cast<std::uint64_t>((kNow + 300s).count());
  CHECK(next_stamp(state, kNow, true) == static_cast<std::uint64_t>((kNow + 300s).count()) + 1);
  state.stamp = std::numeric_limits<std::uint64_t>::max();
  CHECK(next_stamp(state, kNow, true) == std::numeric_limits<std::uint64_t>::max()); // no way back to 0
}

TEST_CASE("a knock takes the place of the former one of its way, and what ended goes") {
  ClientState state;
  note(state, knocked("ssh"));
  note(state, knocked("nas", kNow, 1h));
  CHECK(state.ever_opened);
  auto other = knocked("ssh", kNow + 10s);
  other.way.source = *parse_address("198.51.100.8");
  note(state, other);
  CHECK(state.knocked.size() == 3);
  note(state, knocked("ssh", kNow + 20s));
  REQUIRE(state.knocked.size() == 3);
  CHECK(state.knocked.back() == knocked("ssh", kNow + 20s));
  note(state, knocked("web", kNow + 50s));
  REQUIRE(state.knocked.size() == 3); // that of the other address ended at 40 s, ours ends just now
  CHECK(state.knocked[0].way.door == "nas");
  CHECK(state.knocked[1].way.door == "ssh");
  CHECK(parse_client_state(encode(state)) == state);
}

TEST_CASE("what was sent alone opened nothing yet") {
  ClientState state;
  auto one = knocked("ssh");
  one.seen = Knocked::Seen::sent;
  note(state, one);
  CHECK(!state.ever_opened);
}

TEST_CASE("no more than so many are kept, the latest, and their text is read again") {
  ClientState state;
  Knocked one = knocked(std::string(31, 'a'), Wall{std::numeric_limits<std::int64_t>::max() - 1}, 1ns);
  one.bound = false;
  for (std::uint8_t i = 0; i < kMaxKnocked + 6; ++i) {
    one.way.router = one.way.source = *parse_address("2001:db8:1111:2222:3333:4444:5555:6600");
    one.way.source.octets[15] = i;
    note(state, one);
  }
  CHECK(state.knocked.size() == kMaxKnocked);
  CHECK(state.knocked.front().way.source.octets[15] == 6);
  CHECK(encode(state).size() <= kMaxClientState);
  CHECK(parse_client_state(encode(state)) == state);
  auto text = encode(state);
  text += "knock b 203.0.113.1 203.0.113.2 203.0.113.2 bound 1 2 sent\n";
  CHECK(!parse_client_state(text));
}

TEST_CASE("a knock within an age is of that door, router and source, and not of a time to come") {
  ClientState state;
  note(state, knocked("ssh"));
  const auto within = [&](std::string_view door, const Address& router, const Address& source, Wall now) {
    return knocked_within(state, {std::string(door), router, source, kOurs}, now, 10s) != nullptr;
  };
  CHECK(within("ssh", kRouter, kOurs, kNow));
  CHECK(within("ssh", kRouter, kOurs, kNow + 10s));
  CHECK(!within("ssh", kRouter, kOurs, kNow + 10s + 1ns));
  CHECK(!within("ssh", kRouter, kOurs, kNow - 1ns));
  CHECK(!within("nas", kRouter, kOurs, kNow));
  CHECK(!within("ssh", kOurs, kOurs, kNow));
  CHECK(!within("ssh", kRouter, kRouter, kNow));
}

TEST_CASE("what was closed is forgotten, from there alone") {
  ClientState state;
  note(state, knocked("ssh"));
  note(state, knocked("nas"));
  auto other = knocked("ssh");
  other.way.source = kRouter;
  note(state, other);
  forget(state, knocked("ssh").way);
  REQUIRE(state.knocked.size() == 2);
  CHECK(state.knocked[0].way.door == "nas");
  CHECK(state.knocked[1] == other);
  forget(state, other.way);
  CHECK(state.knocked.size() == 1);
  CHECK(state.ever_opened);
}

TEST_CASE("no knock makes shorter what stands open, nor shuts it") {
  ClientState state;
  note(state, knocked("ssh", kNow, 1h));
  auto shorter = knocked("ssh", kNow + 10s, 1s);
  shorter.seen = Knocked::Seen::sent;
  note(state, shorter);
  REQUIRE(state.knocked.size() == 1);
  CHECK(state.knocked[0].at == kNow + 10s);
  CHECK(state.knocked[0].until == kNow + 1h);
  CHECK(state.knocked[0].seen == Knocked::Seen::open);
  auto late = knocked("ssh", kNow + 2h, 1s); // what is over is over
  late.seen = Knocked::Seen::sent;
  note(state, late);
  CHECK(state.knocked == std::vector{late});
  const auto before = knocked("ssh", kNow, 1s); // the clock was set back
  note(state, before);
  CHECK(state.knocked == std::vector{before});
}

TEST_CASE("what opens for another address stands beside our own") {
  ClientState state;
  note(state, knocked("ssh", kNow, 1h));
  auto other = knocked("ssh", kNow + 1s, 1s);
  other.way.granted = kRouter;
  note(state, other);
  CHECK(state.knocked == std::vector{knocked("ssh", kNow, 1h), other});
  forget(state, other.way);
  CHECK(state.knocked == std::vector{knocked("ssh", kNow, 1h)});
}

TEST_CASE("a door that stands open is marked only where it is ours and not over") {
  ClientState state;
  auto one = knocked("ssh");
  one.seen = Knocked::Seen::sent;
  note(state, one);
  note_open(state, one.way, kNow + 31s);
  CHECK(state.knocked[0].seen == Knocked::Seen::sent);
  note_open(state, knocked("nas").way, kNow);
  CHECK(state.knocked.size() == 1);
  CHECK(state.ever_opened);
  note_open(state, one.way, kNow + 29s);
  CHECK(state.knocked[0].seen == Knocked::Seen::open);
}

TEST_CASE("what is left is never more than there was, whatever the clock") {
  const auto one = knocked("ssh");
  CHECK(left_of(one, kNow + 10s) == 20s);
  CHECK(left_of(one, kNow + 30s) == 0s);
  CHECK(left_of(one, kNow + 1h) == 0s);
  CHECK(left_of(one, kNow - 1h) == 30s);
}
