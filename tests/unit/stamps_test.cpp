// SPDX-License-Identifier: GPL-2.0-or-later
#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <set>

#include <knock/stamps.hpp>

using namespace knock;

namespace {

constexpr Stamp kSecond = 1'000'000'000;
constexpr Stamp kNoon = 1'795'521'600 * kSecond; // in November 2026
constexpr Stamp kHour = 3'600 * kSecond;
constexpr kn1::Kid kLaptop{{1, 2, 3, 4, 5, 6, 7, 8}};
constexpr kn1::Kid kPad{{8, 7, 6, 5, 4, 3, 2, 1}};

WallClock good(Stamp now) {
  return {now, true};
}
WallClock unknown(Stamp now) {
  return {now, false};
}

const std::vector<Stamps::Key> kBoth{{kLaptop, false, true}, {kPad, false, true}};

/// Judges and, when it is fresh, accepts.
Freshness take(Stamps& stamps, const kn1::Kid& kid, Stamp stamp, const WallClock& clock,
               bool closes = false) {
  const auto verdict = stamps.judge(kid, stamp, clock);
  if (verdict == Freshness::fresh) stamps.accept(kid, stamp, closes);
  return verdict;
}

/// Long enough after the clock was found good that nothing waits for it.
Stamps running() {
  Stamps stamps;
  stamps.recall({.good_since = kNoon - kHour, .marks = {}}, Ceilings{});
  stamps.follow(kBoth, good(kNoon));
  return stamps;
}

/// What a file would say of them, for a start in the same boot.
StampRun run_of(const std::vector<StampMark>& marks, const Stamps& stamps) {
  return {stamps.good_since(), marks};
}

} // namespace

TEST_CASE("a stamp counts once, in any order, also those of a burst") {
  auto stamps = running();
  for (const Stamp at : {3U, 1U, 2U, 7U, 5U})
    CHECK(take(stamps, kLaptop, kNoon + at, good(kNoon)) == Freshness::fresh);
  for (const Stamp at : {3U, 1U, 2U, 7U, 5U})
    CHECK(take(stamps, kLaptop, kNoon + at, good(kNoon)) == Freshness::replay);
  CHECK(take(stamps, kLaptop, kNoon + 4, good(kNoon)) == Freshness::fresh);
  CHECK(take(stamps, kPad, kNoon + 3, good(kNoon)) == Freshness::fresh);
}

TEST_CASE("no stamp is accepted twice, whatever comes in whatever order") {
  std::mt19937 random{7};
  for (int round = 0; round < 200; ++round) {
    StampLine line;
    std::set<Stamp> accepted;
    for (int i = 0; i < 500; ++i) {
      const auto stamp = static_cast<Stamp>(1 + i / 3) + random() % 12;
      const auto verdict = line.judge(stamp);
      if (verdict != Freshness::fresh) continue;
      line.accept(stamp);
      REQUIRE(accepted.insert(stamp).second);
      REQUIRE(std::is_sorted(line.seen.begin(), line.seen.end()));
    }
    REQUIRE(accepted.size() > 50);
  }
}

TEST_CASE("eight stamps are told apart, and the smallest becomes the floor") {
  StampLine line;
  for (Stamp stamp = 10; stamp <= 80; stamp += 10) line.accept(stamp);
  CHECK(line.floor == 10);
  CHECK(line.judge(10) == Freshness::floor);
  CHECK(line.judge(15) == Freshness::fresh);
  line.accept(15);
  CHECK(line.floor == 15);
  CHECK(line.seen == std::array<Stamp, 7>{20, 30, 40, 50, 60, 70, 80});
  line.raise(45);
  CHECK(line.seen == std::array<Stamp, 7>{0, 0, 0, 50, 60, 70, 80});
  CHECK(line.judge(50) == Freshness::replay);
}

TEST_CASE("behind a close nothing older opens") {
  auto stamps = running();
  CHECK(take(stamps, kLaptop, kNoon + 5, good(kNoon), true) == Freshness::fresh);
  CHECK(take(stamps, kLaptop, kNoon + 4, good(kNoon)) == Freshness::floor);
  CHECK(take(stamps, kLaptop, kNoon + 5, good(kNoon)) == Freshness::floor);
  CHECK(take(stamps, kLaptop, kNoon + 6, good(kNoon)) == Freshness::fresh);
}

TEST_CASE("a clock that is two minutes slow or half a minute fast is refused, at the ends of time, too") {
  auto stamps = running();
  CHECK(stamps.judge(kLaptop, kNoon - 120 * kSecond, good(kNoon)) == Freshness::fresh);
  CHECK(stamps.judge(kLaptop, kNoon - 120 * kSecond - 1, good(kNoon)) == Freshness::age);
  CHECK(stamps.judge(kLaptop, kNoon + 30 * kSecond, good(kNoon)) == Freshness::fresh);
  CHECK(stamps.judge(kLaptop, kNoon + 30 * kSecond + 1, good(kNoon)) == Freshness::ahead);
  for (const Stamp year : {2'147'483'647 * kSecond, 4'294'967'295 * kSecond, ~Stamp{0}}) { // 2038, 2106, 2554
    CHECK(in_window(year, good(year)) == Freshness::fresh);
    CHECK(in_window(year - 121 * kSecond, good(year)) == Freshness::age);
  }
  CHECK(in_window(0, good(kSecond)) == Freshness::fresh);
}

TEST_CASE("a restart in the same boot goes on where it was") {
  auto before = running();
  (void)before.take_marks();
  CHECK(take(before, kLaptop, kNoon, good(kNoon)) == Freshness::fresh);
  const auto marks = before.take_marks();
  REQUIRE(marks.size() == 1);
  Stamps after;
  after.recall(run_of(marks, before), before.ceilings());
  after.follow(kBoth, good(kNoon));
  CHECK(after.judge(kLaptop, kNoon, good(kNoon)) == Freshness::replay);
  CHECK(after.judge(kLaptop, kNoon + 1, good(kNoon)) == Freshness::fresh);
  CHECK(after.slot_of(kLaptop) == before.slot_of(kLaptop));
}

TEST_CASE("behind a boot nothing that was accepted before it opens again") {
  auto before = running();
  CHECK(take(before, kLaptop, kNoon + 20 * kSecond, good(kNoon)) == Freshness::fresh);
  SUBCASE("with the clock") {
    Stamps after;
    after.recall({}, before.ceilings());
    after.follow(kBoth, good(kNoon + 10 * kSecond));
    CHECK(after.judge(kLaptop, kNoon + 20 * kSecond, good(kNoon + 10 * kSecond)) == Freshness::floor);
    CHECK(after.judge(kPad, kNoon + 39 * kSecond, good(kNoon + 39 * kSecond)) == Freshness::floor);
    const auto later = kNoon + 81 * kSecond; // 60 s behind the last one
    CHECK(after.judge(kLaptop, later, good(later)) == Freshness::fresh);
  }
  SUBCASE("without a ceiling: half a minute behind the start") {
    Stamps after;
    after.recall({}, std::nullopt);
    after.follow(kBoth, good(kNoon + 10 * kSecond));
    CHECK(after.judge(kLaptop, kNoon + 20 * kSecond, good(kNoon + 10 * kSecond)) == Freshness::floor);
    const auto later = kNoon + 41 * kSecond;
    CHECK(after.judge(kLaptop, later, good(later)) == Freshness::fresh);
  }
  SUBCASE("while the clock is unknown, wherever it stands") {
    Stamps after;
    after.recall({}, before.ceilings());
    after.follow(kBoth, unknown(kSecond));
    CHECK(after.judge(kLaptop, kNoon + 20 * kSecond, unknown(kSecond)) == Freshness::floor);
    CHECK(take(after, kLaptop, kNoon + kHour, unknown(kSecond)) == Freshness::fresh); // no window
    CHECK(after.is_urgent());
    CHECK(after.ceilings().router == before.ceilings().router); // one client's clock moves its own alone
    CHECK(after.judge(kPad, kNoon + 81 * kSecond, unknown(kSecond)) == Freshness::fresh);
    Stamps again; // and another boot
    again.recall({}, after.ceilings());
    again.follow(kBoth, unknown(kSecond));
    CHECK(again.judge(kLaptop, kNoon + kHour, unknown(kSecond)) == Freshness::floor);
    CHECK(again.judge(kLaptop, kNoon + kHour + 61 * kSecond, unknown(kSecond)) == Freshness::fresh);
  }
}

TEST_CASE("when the clock becomes good, keys that opened nothing yet begin behind that moment") {
  Stamps stamps;
  stamps.recall({}, Ceilings{});
  stamps.follow(kBoth, unknown(kSecond));
  CHECK(take(stamps, kLaptop, kNoon + 1, unknown(kSecond)) == Freshness::fresh);
  stamps.watch(good(kNoon));
  CHECK(stamps.is_good());
  CHECK(stamps.judge(kPad, kNoon + 30 * kSecond, good(kNoon + kSecond)) == Freshness::floor);
  CHECK(stamps.judge(kPad, kNoon + 31 * kSecond, good(kNoon + 31 * kSecond)) == Freshness::fresh);
  CHECK(stamps.judge(kLaptop, kNoon + 2, good(kNoon)) == Freshness::fresh);
  CHECK(stamps.judge(kLaptop, kNoon - 200 * kSecond, good(kNoon)) == Freshness::age); // the window holds
  stamps.watch(unknown(kNoon)); // NTP lost: it was good once
  CHECK(stamps.is_good());
}

TEST_CASE("a key that closed before the clock was good goes on behind its close") {
  Stamps stamps;
  stamps.recall({}, Ceilings{});
  stamps.follow(kBoth, unknown(0));
  CHECK(take(stamps, kLaptop, kNoon, unknown(0), true) == Freshness::fresh);
  stamps.watch(good(kNoon + 1));
  CHECK(stamps.judge(kLaptop, kNoon, good(kNoon + 1)) != Freshness::fresh);
  CHECK(stamps.judge(kLaptop, kNoon + 1, good(kNoon + 1)) == Freshness::fresh);
  CHECK(stamps.judge(kPad, kNoon + 1, good(kNoon + 1)) == Freshness::floor);
}

TEST_CASE("a key that closed before the clock was good goes on behind its close also after a crash") {
  Stamps before;
  before.recall({}, Ceilings{});
  before.follow(kBoth, unknown(0));
  CHECK(take(before, kLaptop, kNoon, unknown(0), true) == Freshness::fresh);
  Stamps stamps;
  stamps.recall({0, before.take_marks()}, before.ceilings());
  stamps.follow(kBoth, unknown(0));
  stamps.watch(good(kNoon + 1));
  CHECK(stamps.judge(kLaptop, kNoon, good(kNoon + 1)) != Freshness::fresh);
  CHECK(stamps.judge(kLaptop, kNoon + 1, good(kNoon + 1)) == Freshness::fresh);
  CHECK(stamps.judge(kPad, kNoon + 1, good(kNoon + 1)) == Freshness::floor);
}

TEST_CASE("a counter that was lost stays so behind a crash") {
  const std::vector<Stamps::Key> keys{{kPad, true, true}};
  Stamps before;
  before.recall({}, std::nullopt); // kn1.ceiling is gone
  before.follow(keys, good(kNoon));
  CHECK(before.judge(kPad, 7, good(kNoon)) == Freshness::state);
  Stamps stamps;
  stamps.recall(run_of(before.take_marks(), before), before.ceilings());
  stamps.follow(keys, good(kNoon));
  CHECK(stamps.judge(kPad, 7, good(kNoon)) == Freshness::state);
  CHECK_FALSE(stamps.ceilings().keys.contains(kPad));
}

TEST_CASE("a clock that is set back refuses, says so, and is taken when the admin says so") {
  auto stamps = running();
  CHECK(take(stamps, kLaptop, kNoon, good(kNoon)) == Freshness::fresh);
  CHECK_FALSE(stamps.is_behind(good(kNoon)));
  const auto back = good(kNoon - kHour);
  CHECK(stamps.is_behind(back));
  CHECK(stamps.judge(kLaptop, back.now, back) == Freshness::floor);
  CHECK(stamps.latest(back) == kNoon - 30 * kSecond); // an end by date is not undone
  stamps.accept_clock(back);
  CHECK(stamps.is_urgent());
  CHECK_FALSE(stamps.is_behind(back));
  CHECK(stamps.judge(kLaptop, back.now + 1, back) == Freshness::fresh);
  CHECK(stamps.judge(kLaptop, back.now, back) == Freshness::floor);
}

TEST_CASE("a counter has no window, and its floor is exact over a boot") {
  const std::vector<Stamps::Key> counter{{kLaptop, true, false}};
  Stamps stamps;
  stamps.recall({}, Ceilings{});
  stamps.follow(counter, good(kNoon));
  CHECK(stamps.is_urgent()); // it is known from here on
  for (const Stamp at : {1U, 2U, 5U}) {
    CHECK(take(stamps, kLaptop, at, good(kNoon)) == Freshness::fresh);
    CHECK(stamps.is_urgent());
  }
  CHECK(take(stamps, kLaptop, 4, good(kNoon)) == Freshness::floor);
  CHECK(take(stamps, kLaptop, 5, good(kNoon)) == Freshness::replay);
  const auto marks = stamps.take_marks();
  const std::vector<Stamps::Key> known{{kLaptop, true, true}};
  SUBCASE("a boot") {
    Stamps after;
    after.recall({}, stamps.ceilings());
    after.follow(known, unknown(0));
    CHECK(after.judge(kLaptop, 5, unknown(0)) == Freshness::floor);
    CHECK(after.judge(kLaptop, 6, unknown(0)) == Freshness::fresh);
  }
  SUBCASE("its ceiling is lost: refused") {
    for (auto ceilings : {std::optional<Ceilings>{}, std::optional(Ceilings{})}) {
      Stamps after;
      after.recall({}, ceilings);
      after.follow(known, good(kNoon));
      CHECK(after.judge(kLaptop, 1'000, good(kNoon)) == Freshness::state);
    }
  }
  SUBCASE("its ceiling was put back from an older copy: refused") {
    auto old = stamps.ceilings();
    old.keys.at(kLaptop).stamp = 2;
    Stamps after;
    after.recall(run_of(marks, stamps), old);
    after.follow(known, good(kNoon));
    CHECK(after.judge(kLaptop, 1'000, good(kNoon)) == Freshness::state);
  }
  SUBCASE("killed between ceiling and line: that one is spent") {
    auto ahead = stamps.ceilings();
    ahead.keys.at(kLaptop).stamp = 9;
    Stamps after;
    after.recall(run_of(marks, stamps), ahead);
    after.follow(known, good(kNoon));
    CHECK(after.judge(kLaptop, 9, good(kNoon)) == Freshness::floor);
    CHECK(after.judge(kLaptop, 10, good(kNoon)) == Freshness::fresh);
  }
}

TEST_CASE("a key that is gone is refused, and its place is another's") {
  auto stamps = running();
  const auto slot = stamps.slot_of(kPad);
  stamps.follow(std::vector<Stamps::Key>{{kLaptop, false, true}}, good(kNoon));
  CHECK(stamps.judge(kPad, kNoon, good(kNoon)) == Freshness::state);
  constexpr kn1::Kid third{{9}};
  stamps.follow(std::vector<Stamps::Key>{{kLaptop, false, true}, {third, false, false}}, good(kNoon));
  CHECK(stamps.slot_of(third) == slot);
}

TEST_CASE("a key whose file is back brings none of its packets back, and a new one waits for nothing") {
  auto stamps = running();
  CHECK(take(stamps, kPad, kNoon + 1, good(kNoon)) == Freshness::fresh);
  constexpr kn1::Kid fresh{{9}};
  const std::vector<Stamps::Key> without{{kLaptop, false, true}, {fresh, false, false}};
  stamps.follow(without, good(kNoon));
  CHECK(stamps.judge(fresh, kNoon, good(kNoon)) == Freshness::fresh);
  std::vector<Stamps::Key> back{{kLaptop, false, true}, {kPad, false, false}};
  stamps.follow(back, good(kNoon));
  CHECK(stamps.judge(kPad, kNoon + 1, good(kNoon)) == Freshness::replay);
  CHECK(stamps.judge(kPad, kNoon + 2, good(kNoon)) == Freshness::fresh);
}

TEST_CASE("openings outlive a key that is gone for a while") {
  auto stamps = running();
  stamps.count_opening(kPad);
  CHECK(stamps.is_urgent());
  stamps.follow(std::vector<Stamps::Key>{{kLaptop, false, true}}, good(kNoon));
  stamps.follow(kBoth, good(kNoon));
  CHECK(stamps.openings(kPad) == 1);
  CHECK(stamps.openings(kLaptop) == 0);
}

TEST_CASE("a number of openings that was counted must be in the ceilings; a new one is put there") {
  const std::vector<Stamps::Key> limited{{kPad, false, true, true}};
  Stamps stamps;
  stamps.recall({.good_since = kNoon - kHour, .marks = {}}, std::nullopt);
  stamps.follow(limited, good(kNoon));
  CHECK(stamps.is_urgent());
  CHECK(stamps.judge(kPad, kNoon, good(kNoon)) == Freshness::fresh);
  stamps.count_opening(kPad);
  stamps.count_opening(kPad);
  stamps.return_opening(kPad);
  CHECK(stamps.openings(kPad) == 1);
  for (const bool known : {false, true}) {
    Stamps after;
    after.recall({.good_since = kNoon - kHour, .marks = {}}, known ? stamps.ceilings() : Ceilings{}, {kPad});
    after.follow(limited, good(kNoon));
    CHECK(after.judge(kPad, kNoon, good(kNoon)) == (known ? Freshness::fresh : Freshness::state));
    CHECK(after.openings(kPad) == (known ? 1 : 0));
    after.follow({}, good(kNoon)); // its file is bad, or no door takes signed packets
    after.follow(limited, good(kNoon));
    CHECK(after.judge(kPad, kNoon, good(kNoon)) == (known ? Freshness::fresh : Freshness::state));
  }
}

TEST_CASE("the files of stamps read back as they were written") {
  Ceilings ceilings{kNoon, {{kLaptop, {5, 2}}, {kPad, {~Stamp{0}, 0}}}};
  CHECK(parse_ceilings(encode_ceilings(ceilings)) == ceilings);
  CHECK(parse_ceilings(encode_ceilings({})) == Ceilings{});
  const auto text = encode_ceilings(ceilings);
  CHECK(text == "knockgate kn1 ceiling 1\nrouter 1795521600000000000\nkey 0102030405060708 5 2\n"
                "key 0807060504030201 18446744073709551615 0\n");
  for (std::size_t size = 0; size < text.size(); ++size) {
    INFO("cut at " << size);
    const auto cut = parse_ceilings(text.substr(0, size));
    const bool whole_lines = size != 0 && text[size - 1] == '\n' && size > 40;
    CHECK(cut.has_value() == whole_lines);
  }
  for (const auto* bad :
       {"knockgate kn1 ceiling 2\nrouter 1\n", "knockgate kn1 ceiling 1\nrouter 1\nrouter 1\n",
        "knockgate kn1 ceiling 1\nrouter 1 \n", "knockgate kn1 ceiling 1\nrouter -1\n",
        "knockgate kn1 ceiling 1\nrouter 18446744073709551616\n",
        "knockgate kn1 ceiling 1\nrouter 1\nkey 010203040506070 5 2\n",
        "knockgate kn1 ceiling 1\nrouter 1\nkey 0102030405060708 5 2 1\n",
        "knockgate kn1 ceiling 1\nrouter 1\nkey 0102030405060708 5 2\nkey 0102030405060708 5 2\n"})
    CHECK_FALSE(parse_ceilings(bad));
}

TEST_CASE("kn1.run is read in its own boot alone, and as far as it is written") {
  constexpr std::string_view boot = "11111111-2222-3333-4444-555555555555";
  const StampMark laptop{0, kLaptop, {kNoon, {0, 0, 0, 0, 0, kNoon + 1, kNoon + 2}}};
  const StampMark pad{kMaxStampSlots - 1, kPad, {}};
  std::vector<std::byte> file(kMaxStampFile);
  const auto put = [&](std::size_t at, const void* what, std::size_t size) {
    std::memcpy(&file[at], what, size);
  };
  const auto header = encode_stamp_header(boot, kNoon);
  put(0, header.data(), header.size());
  for (const auto& mark : {laptop, pad}) {
    put(line_offset(mark.slot), &mark.line, sizeof mark.line);
    put(kid_offset(mark.slot), &mark.kid, sizeof mark.kid);
  }
  CHECK(parse_stamp_header(header) == kNoon);
  CHECK(parse_stamp_file(file, boot) == StampRun{kNoon, {laptop, pad}});
  CHECK_FALSE(parse_stamp_file(file, "21111111-2222-3333-4444-555555555555"));
  const auto cut = std::span(file).first(kid_offset(1));
  CHECK(parse_stamp_file(cut, boot) == StampRun{kNoon, {laptop}});
  CHECK(parse_stamp_file(std::span(file).first(kStampHeader), boot) == StampRun{kNoon, {}});
  CHECK_FALSE(parse_stamp_file(std::span(file).first(kStampHeader - 1), boot));
  std::swap(file[line_offset(0) + 8], file[line_offset(0) + 63]); // no line that we wrote
  CHECK_FALSE(parse_stamp_file(file, boot));
}
