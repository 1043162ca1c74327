// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/table.hpp"

#include <cerrno>

#include <doctest/doctest.h>

#include "../harness/keeper.hpp"
#include "core/keeper/audit.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

const Error kLoadFailed{"load: Device or resource busy", 16, ""};
const GrantKey kKey{kClient, kSsh};

/// Each commit of another that removes the table, and our load behind it.
std::vector<Line> removed_and_healed(Table& table, const std::string& by, Instant now) {
  table.hear({.broken = true, .by = by}, Mode::gate, true);
  return table.settle_heal({}, 2, true, {}, now);
}

Config embed() {
  Config config;
  config.nft.mode = Mode::embed;
  return config;
}

StaticSets guarding(std::vector<Guarded> ports) {
  StaticSets sets;
  sets.guarded = std::move(ports);
  return sets;
}

} // namespace

TEST_CASE("a table that another process removes comes back at once, and the log names the process") {
  Table table;
  CHECK_FALSE(table.next(kStart));
  table.hear({.broken = true, .by = "nft"}, Mode::gate, true);
  CHECK(table.is_lost());
  CHECK(table.heals(kStart));
  CHECK(table.next(kStart) == kStart);
  const auto lines = table.settle_heal({}, 2, true, {}, kStart);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "healed by=nft: table inet knockgate was gone or changed, 2 elements are back");
  CHECK_FALSE(table.is_lost());
  CHECK(table.healed() == 1);
  CHECK(table.is_doubted()); // commits of others during the load were not heard
}

TEST_CASE("a process has no line of the log to itself, whatever it calls itself") {
  Table table;
  const auto lines = removed_and_healed(table, "x\nopen door=ssh", kStart);
  CHECK(lines.at(0).text.find('\n') == std::string::npos);
}

TEST_CASE("elements that others removed are handed out once, and no table is lost for them") {
  Table table;
  const GrantKey other{kOther, kSsh};
  table.hear({.removed = {kKey}}, Mode::gate, true);
  table.hear({.removed = {other}}, Mode::gate, true);
  CHECK_FALSE(table.is_lost());
  CHECK(table.take_removed() == std::vector{kKey, other});
  CHECK(table.removed() == 0);
  table.keep_removed({other}); // its batch was refused
  CHECK(table.take_removed() == std::vector{other});
}

TEST_CASE("a set that is made loses the table in embed mode alone: there it is the admin's, made anew") {
  Table table;
  table.hear({.set_made = true}, Mode::gate, true);
  CHECK_FALSE(table.is_lost());
  table.hear({.set_made = true}, Mode::embed, true);
  CHECK(table.is_lost());
}

TEST_CASE("lost messages, and what others add, are a doubt, which a look ends") {
  Table table;
  SUBCASE("lost") {
    table.hear({.overran = true}, Mode::gate, true);
  }
  SUBCASE("added") {
    table.hear({.changed = true, .by = "nft"}, Mode::gate, true);
  }
  CHECK(table.is_doubted());
  CHECK_FALSE(table.is_lost());
  CHECK(table.next(kStart) == kStart);
  table.look(true);
  CHECK_FALSE(table.is_doubted());
  CHECK_FALSE(table.is_lost());
  CHECK_FALSE(table.next(kStart));
}

TEST_CASE("off, or without a door, a table that is removed is no harm; one that stands there is") {
  Table table;
  table.hear({.broken = true, .by = "nft"}, Mode::gate, false);
  CHECK(table.is_doubted());
  CHECK(table.is_lost()); // what was open is gone with it
  CHECK_FALSE(table.heals(kStart));
  table.look(true, false);
  CHECK_FALSE(table.heals(kStart));
  CHECK_FALSE(table.next(kStart));
  CHECK(table.is_lost());
  table.hear({.changed = true, .by = "nft"}, Mode::gate, false);
  table.look(false, false);
  CHECK(table.heals(kStart));
  CHECK(table.next(kStart) == kStart);
}

TEST_CASE("a look that misses the table, a rule or a guarded port finds another than is wanted") {
  const auto wanted = guarding({{kSsh, {}}, {kWeb, 5s}});
  TableSeen seen{.there = true, .as_loaded = true, .guarded = {{kSsh, {}}, {kWeb, 4s}}};
  CHECK(is_as_wanted(seen, wanted)); // the time that a load takes is no difference
  SUBCASE("table") {
    seen.there = false;
  }
  SUBCASE("rule") {
    seen.as_loaded = false;
  }
  SUBCASE("port") {
    seen.guarded.pop_back();
  }
  SUBCASE("one port too many") {
    seen.guarded.push_back({{Protocol::udp, 53}, {}});
  }
  SUBCASE("guarded for good that was on trial") {
    seen.guarded[1].left.reset();
  }
  SUBCASE("on trial for longer than was said") {
    seen.guarded[1].left = 1h;
  }
  SUBCASE("on trial that was guarded for good") {
    seen.guarded[0].left = 1s;
  }
  CHECK_FALSE(is_as_wanted(seen, wanted));
  Table table;
  table.look(false);
  CHECK(table.is_lost());
  CHECK(table.heals(kStart));
}

TEST_CASE("of two writers that fight ours waits, the log names both once, and a request ends it") {
  Table table;
  for (int i = 0; i < 4; ++i) CHECK(removed_and_healed(table, "fw-loop", kStart).size() == 1);
  const auto lines = removed_and_healed(table, "fw-loop", kStart);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text ==
        "two writers fight over table inet knockgate: fw-loop changes it, knockgated puts it back; "
        "from now at most once a second");
  table.look(true);
  table.hear({.broken = true, .by = "fw-loop"}, Mode::gate, true);
  CHECK_FALSE(table.heals(kStart));
  CHECK(table.next(kStart) == kStart + 1s);
  CHECK(table.fight(kStart).pace == 1s);
  CHECK(table.fight(kStart).by == "fw-loop");
  CHECK(table.absence("knockgate").what == "table inet knockgate is gone, removed by fw-loop");
  SUBCASE("time") {
    CHECK(table.heals(kStart + 1s));
    CHECK(table.settle_heal({}, 2, true, {}, kStart + 1s).size() == 1); // not said again
  }
  SUBCASE("request") {
    table.settle_load();
    CHECK_FALSE(table.is_lost());
    CHECK(removed_and_healed(table, "fw-loop", kStart).size() == 1);
  }
}

TEST_CASE("a load that fails with elements is tried without them at once; then once a second, and said") {
  Table table;
  table.lose();
  CHECK(table.settle_heal(kLoadFailed, 2, true, {}, kStart).empty());
  CHECK(table.is_apart());
  CHECK(table.heals(kStart));
  const auto lines = table.settle_heal(kLoadFailed, 2, false, {}, kStart);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].level == LogLevel::error);
  CHECK_FALSE(table.heals(kStart + 999ms));
  CHECK(table.next(kStart) == kStart + 1s);
  CHECK(table.heals(kStart + 1s));
  (void)table.settle_heal({}, 2, false, {}, kStart + 1s);
  CHECK_FALSE(table.is_apart());
  table.lose(); // anew: at once, whatever was
  CHECK(table.heals(kStart + 1s));
}

TEST_CASE("loads that fail are no heals: the same error is told once, and the table is back as soon as one "
          "succeeds") {
  Table table;
  table.lose();
  auto now = kStart;
  for (int i = 0; i < 20; ++i, now += 1s) {
    CHECK(table.heals(now));
    CHECK(table.settle_heal(kLoadFailed, 2, false, {}, now).size() == (i == 0 ? 1 : 0));
  }
  REQUIRE(table.error());
  CHECK(table.error()->code == kLoadFailed.code);
  SUBCASE("healed") {
    CHECK(table.settle_heal({}, 2, false, {}, now).size() == 1);
  }
  SUBCASE("loaded on request") {
    table.settle_load();
  }
  CHECK_FALSE(table.error());
}

TEST_CASE("embed: without the admin's sets a load waits until they are made, and says once what is missing; "
          "else it "
          "is tried again") {
  Table table;
  table.hear({.broken = true, .by = "nft"}, Mode::embed, true);
  CHECK(table.settle_heal(kLoadFailed, 0, false, embed(), kStart).size() == 1);
  CHECK(table.heals(kStart + 1s));
  const Error missing{"embed", ENOENT, "in table inet fw add set open4"};
  CHECK(table.settle_heal(missing, 0, false, embed(), kStart + 1s).size() == 1);
  CHECK(table.settle_heal(missing, 0, false, embed(), kStart + 1s).empty());
  CHECK(to_string(*table.error()).find("add set open4") != std::string::npos);
  CHECK_FALSE(table.heals(kStart + 24h));
  CHECK_FALSE(table.next(kStart));
  table.hear({.set_made = true, .by = "nft"}, Mode::embed, true);
  CHECK(table.heals(kStart));
}

TEST_CASE("what others do to the table again and again is said at once, then once a minute with a count") {
  Audit audit;
  std::vector<Line> lines;
  audit.strays("nft", 1, 0);
  CHECK_FALSE(audit.sum_up(kStart, lines));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "strays by=nft: 1 element put right, 0 listed as foreign");
  for (int i = 0; i < 200; ++i) {
    audit.strays("nft", 1, 2);
    CHECK(audit.sum_up(kStart + Millis{i}, lines) == kStart + 60s);
  }
  CHECK(lines.size() == 1);
  CHECK_FALSE(audit.sum_up(kStart + 60s, lines));
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].text == "strays by=nft: 200 elements put right, 400 listed as foreign");
}

TEST_CASE("what the admin's table lacks is said when it changes, once a minute at most") {
  Audit audit;
  std::vector<Line> lines;
  const TableFault fault{"no rule jumps to knockgate_grants", "sudo nft insert rule"};
  audit.faults({});
  CHECK_FALSE(audit.sum_up(kStart, lines));
  CHECK(lines.empty());
  audit.faults({fault});
  CHECK_FALSE(audit.sum_up(kStart, lines));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "embed: no rule jumps to knockgate_grants; run: sudo nft insert rule");
  for (int i = 0; i < 200; ++i) {
    audit.faults(i % 2 == 0 ? std::vector<TableFault>{} : std::vector{fault});
    (void)audit.sum_up(kStart + 1s, lines);
  }
  audit.faults({});
  CHECK(audit.sum_up(kStart + 1s, lines) == kStart + 60s);
  CHECK(lines.size() == 1);
  CHECK_FALSE(audit.sum_up(kStart + 60s, lines));
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].text == "embed: the table has all of embed.nft again");
}

TEST_CASE("of a table that we removed ourselves nothing is known") {
  Table table;
  table.hear({.removed = {kKey}}, Mode::gate, true);
  table.hear({.broken = true, .by = "nft"}, Mode::gate, true);
  table.doubt();
  table.forget();
  CHECK(table.removed() == 0);
  CHECK_FALSE(table.is_lost());
  CHECK_FALSE(table.next(kStart));
}
