// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/knocks.hpp"

#include <doctest/doctest.h>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

const std::string kRun = "run = [\"/bin/true\", \"word\"]\nrun_close = [\"/bin/false\"]\ncooldown = \"10s\"";
const auto kConfig =
    config_of("[runner]\ntime = \"7s\"\n" + kSshDoor + kWebDoor + door_text("run", 7'300, kRun) +
              door_text("off", 7'400, "enabled = false\nopens = [\"tcp/25\"]") +
              door_text("fwd", 7'500, "forward = { \"tcp/8443\" = \"192.0.2.20:443\" }") +
              door_text("shut", 7'600, "opens = [\"tcp/993\"]") + close_text(7'600) +
              door_text("shut2", 7'700, "opens = [\"tcp/995\"]") + close_text(7'700) +
              door_text("never", 7'800, "enabled = false\nopens = [\"tcp/25\"]") + close_text(7'800));

/// What became of the records.
struct Judged {
  std::vector<keeper::Opening> openings{};
  Counts refused{};
  std::vector<Line> lines{};
  std::vector<Closing> closings{};
  unsigned suspicions = 0;
};

struct Judge {
  Knocks knocks{};
  Judge() {
    knocks.follow(*kConfig);
    knocks.set_own({address("192.0.2.1")});
  }
  Judged judge(const std::vector<Record>& records, Instant now = kStart) {
    Judged judged;
    std::vector<Job> jobs;
    judged.suspicions = knocks.judge(records, now, jobs, judged.refused, judged.lines);
    for (auto& job : jobs)
      if (auto* opening = std::get_if<Opening>(&job))
        judged.openings.push_back(std::move(*opening));
      else
        judged.closings.push_back(std::get<Closing>(job));
    return judged;
  }
};

} // namespace

TEST_CASE("each record is an opening of its own, in the order of the engine") {
  const auto judged =
      Judge().judge({completed("web"), completed("ssh", kOther), completed("ssh"), completed("ssh")});
  REQUIRE(judged.openings.size() == 4);
  CHECK(judged.openings[0].request.door == "web");
  CHECK(judged.openings[1].request.source == kOther);
  for (const auto& opening : judged.openings) {
    CHECK(opening.opens);
    CHECK(opening.ticket == 0);
    CHECK(opening.request.via == Via::knock);
  }
  CHECK(judged.refused.empty());
}

TEST_CASE("a door that is gone or disabled is counted; an honest engine may name it") {
  const auto judged = Judge().judge({completed("gone"), completed("off")});
  CHECK(judged.openings.empty());
  CHECK(judged.refused == Counts{{"unknown_door", 2}});
  CHECK(judged.suspicions == 0);
}

TEST_CASE("a source that no host can have is held against the engine, whatever the door") {
  const auto judged =
      Judge().judge({completed("ssh", address("127.0.0.1")), completed("gone", address("ff02::1")),
                     completed("ssh", address("0.0.0.0"))});
  CHECK(judged.openings.empty());
  CHECK(judged.refused == Counts{{"source", 3}});
  CHECK(judged.suspicions == 3);
}

TEST_CASE("a forged address of this router is counted, and not held against the engine") {
  const auto judged = Judge().judge({completed("ssh", address("192.0.2.1"))});
  CHECK(judged.openings.empty());
  CHECK(judged.refused == Counts{{"own_address", 1}});
  CHECK(judged.suspicions == 0);
}

TEST_CASE("a door asks for its share a second; beyond, each is counted, the others have theirs") {
  Judge judge;
  const auto share = std::max(enabled_door(*kConfig, "ssh")->grants, kLeastPace);
  const std::vector<Record> flood(share + 5, completed("ssh"));
  auto judged = judge.judge(flood);
  CHECK(judged.openings.size() == share);
  CHECK(judged.refused == Counts{{"pace", 5}});
  CHECK(judged.lines.empty()); // never a line for each
  CHECK(judge.judge({completed("web")}).openings.size() == 1);
  REQUIRE(judge.knocks.hurried(kStart) != nullptr);
  CHECK(judge.knocks.hurried(kStart)->name == "ssh");
  CHECK(judge.judge({completed("ssh")}, kStart + 1s).openings.size() == 1);
  CHECK(judge.knocks.hurried(kStart + 9s) != nullptr);
  CHECK(judge.knocks.hurried(kStart + 10s) == nullptr);
}

TEST_CASE(
    "a door that leads nowhere for this family is counted and told; a command of it runs all the same") {
  const auto judged =
      Judge().judge({completed("fwd", address("2001:db8::9")), completed("run"), completed("fwd")});
  CHECK(judged.refused == Counts{{"family", 1}});
  REQUIRE(judged.lines.size() == 1);
  CHECK(judged.lines[0].text ==
        "refused door=fwd source=2001:db8::9 reason=family: it leads nowhere over IPv6");
  REQUIRE(judged.openings.size() == 2);
  CHECK(judged.openings[0].request.door == "run");
}

TEST_CASE("a closing knock means its source's grants of its door, and no other") {
  const auto source = address("2001:db8::9");
  const auto judged = Judge().judge({closing("shut", source)});
  CHECK(judged.openings.empty());
  CHECK(judged.refused.empty());
  CHECK(judged.lines.empty());
  REQUIRE(judged.closings.size() == 1);
  const auto& [job, ticket, which, all, signed_packet] = judged.closings[0];
  CHECK(ticket == 0);
  CHECK_FALSE(all);
  CHECK_FALSE(signed_packet);
  CHECK(which.door == "shut");
  CHECK(which.source == source);
  CHECK_FALSE(which.id);
  CHECK_FALSE(which.key);
  CHECK(which.ids.empty());
  CHECK(which.source_port == 0);
}

TEST_CASE("knocks and closing knocks of a datagram are asked for in its order") {
  Judge judge;
  std::vector<Job> jobs;
  Counts refused;
  std::vector<Line> lines;
  const std::vector records{completed("shut"), closing("shut"), closing("shut2"), completed("shut")};
  (void)judge.knocks.judge(records, kStart, jobs, refused, lines);
  std::vector<std::size_t> kinds;
  for (const auto& job : jobs) kinds.push_back(job.index());
  CHECK(kinds == std::vector<std::size_t>{0, 1, 1, 0});
}

TEST_CASE(
    "a closing knock at a door without one is counted, and so is one of a door that is gone or disabled") {
  const auto judged = Judge().judge({closing("ssh"), closing("gone"), closing("never")});
  CHECK(judged.closings.empty());
  CHECK(judged.refused == Counts{{"unknown_door", 3}});
  CHECK(judged.suspicions == 0);
}

TEST_CASE(
    "a source that cannot be closes nothing: no host's is held against the engine, a forged one is not") {
  const auto judged =
      Judge().judge({closing("shut", address("127.0.0.1")), closing("shut", address("192.0.2.1"))});
  CHECK(judged.closings.empty());
  CHECK(judged.refused == Counts{{"source", 1}, {"own_address", 1}});
  CHECK(judged.suspicions == 1);
}

TEST_CASE("a flood of openings keeps no closing knock out, and a flood of these no opening") {
  const auto share = std::max(enabled_door(*kConfig, "shut")->grants, kLeastPace);
  Judge judge;
  SUBCASE("openings") {
    CHECK(judge.judge(std::vector(share + 5, completed("shut"))).refused == Counts{{"pace", 5}});
    CHECK(judge.judge({closing("shut"), closing("shut2")}).closings.size() == 2);
  }
  SUBCASE("closing knocks") {
    const auto judged = judge.judge(std::vector(share + 5, closing("shut")));
    CHECK(judged.closings.size() == share);
    CHECK(judged.refused == Counts{{"pace", 5}});
    CHECK(judged.lines.empty());
    CHECK(judge.judge({completed("shut"), completed("ssh")}).openings.size() == 2);
    CHECK(judge.judge({closing("shut2")}).closings.size() == 1);
    CHECK(judge.judge({closing("shut")}).closings.empty());
    CHECK(judge.judge({closing("shut")}, kStart + 1s).closings.size() == 1);
  }
}

TEST_CASE("a scanner is told by one line and asks for nothing; of very many, 64 a second are told") {
  Judge judge;
  auto judged = judge.judge({scan(kClient), completed("ssh"), scan(address("2001:db8::9"))});
  CHECK(judged.openings.size() == 1);
  CHECK(judged.closings.empty());
  REQUIRE(judged.lines.size() == 2);
  CHECK(judged.lines[0].level == LogLevel::info);
  CHECK(judged.lines[0].text == "scan source=203.0.113.9");
  CHECK(judged.lines[1].text == "scan source=2001:db8::9");
  judged = judge.judge(std::vector(500, scan(kOther)));
  CHECK(judged.lines.size() == 62);
  CHECK(judged.openings.empty());
  CHECK(judged.refused.empty());
  CHECK(judge.judge({completed("ssh")}).openings.size() == 1); // and is kept out by none of them
  CHECK(judge.judge({scan(kOther)}).lines.empty());
  CHECK(judge.judge({scan(kOther)}, kStart + 16ms).lines.size() == 1);
  CHECK(judge.judge(std::vector(500, scan(kOther)), kStart + 10s).lines.size() == 64);
}

TEST_CASE("behind a reload the doors of the new configuration count") {
  Judge judge;
  const auto next = config_of(kWebDoor);
  judge.knocks.follow(*next);
  const auto judged = judge.judge({completed("ssh"), completed("web")});
  CHECK(judged.openings.size() == 1);
  CHECK(judged.refused == Counts{{"unknown_door", 1}});
}

TEST_CASE("a command starts once in its cooldown, for all sources together; what is too early is counted") {
  Cooldowns cooldowns;
  const auto& door = *enabled_door(*kConfig, "run");
  CHECK(cooldowns.start(door, kStart));
  CHECK_FALSE(cooldowns.start(door, kStart + 9'999ms));
  CHECK(cooldowns.cooled() == 1);
  CHECK(cooldowns.start(door, kStart + 10s));
  CHECK_FALSE(cooldowns.ready(*enabled_door(*kConfig, "ssh"), kStart)); // it has none
}

TEST_CASE("the end of a grant is said only if its beginning was: not in the cooldown") {
  Judge judge;
  const auto says = [&](std::string_view door, Instant now) {
    return opening_of(*enabled_door(*kConfig, door), kClient, judge.knocks.cooldowns(), now)
        .request.terms.says_close;
  };
  CHECK(says("run", kStart));
  CHECK_FALSE(says("ssh", kStart));
  CHECK(judge.knocks.start_command(*enabled_door(*kConfig, "run"), kStart));
  CHECK_FALSE(says("run", kStart + 1s));
  CHECK(says("run", kStart + 10s));
}

TEST_CASE("a command hears of door, source and cause; its words come from the configuration alone") {
  const auto& door = *enabled_door(*kConfig, "run");
  auto opening = opening_of(door, kClient, Cooldowns(), kStart);
  opening.request.via = Via::hand;
  const auto run = run_of(*kConfig, door, opening);
  CHECK(run.argv == std::vector<std::string>{"/bin/true", "word"});
  CHECK(run.door == "run");
  CHECK(run.source == "203.0.113.9");
  CHECK(run.via == "hand");
  CHECK(run.time == 7s);
  OpenGrant grant;
  grant.source = kOther;
  grant.by = "ann/phone";
  const auto close = run_close_of(*kConfig, door, grant);
  CHECK(close.argv == std::vector<std::string>{"/bin/false"});
  CHECK(close.event == "close");
  CHECK(close.by == "ann/phone");
  CHECK(close.source == "198.51.100.7");
}
