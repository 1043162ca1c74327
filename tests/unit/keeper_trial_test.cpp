// SPDX-License-Identifier: GPL-2.0-or-later
// What proves an opening is confirm_test's.
#include "core/keeper/trial.hpp"

#include <doctest/doctest.h>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

const auto kConfig = config_of(kSshDoor + kWebDoor + door_text("hand", 0, "opens = [\"tcp/25\"]"));
const Port kMail{Protocol::tcp, 25};

/// Begun a minute ago by uid 1000.
Trial on_trial(Millis left) {
  return {.until = kStart + left, .begun = kStart - 1min, .uid = 1000};
}

Trial proven(std::string_view door, const Port& port) {
  Unconfirmed one{{port, on_trial(10min)}};
  OpenGrant grant;
  grant.door = door;
  grant.source = kClient;
  grant.ports = {port};
  REQUIRE(note_opening(one, *kConfig, grant, kStart));
  return one.at(port);
}

} // namespace

TEST_CASE("nothing on trial: there is nothing to confirm; all over: too late, and what to do") {
  CHECK(plan_confirm(*kConfig, {}, true, kStart).refusal->text == "nothing waits to be confirmed");
  const auto late = plan_confirm(*kConfig, {{kSsh, on_trial(0s)}}, true, kStart);
  REQUIRE(late.refusal);
  CHECK(late.refusal->text == "too late: tcp/22 is unguarded already");
  CHECK(late.refusal->advice == "run: knockctl reload --confirm 10m");
  CHECK(late.rest.contains(kSsh));
}

TEST_CASE("a port that no knock opened is not confirmed; the refusal names it, its door, and who began") {
  const auto plan =
      plan_confirm(*kConfig, {{kSsh, on_trial(10min)}, {kWeb, proven("web", kWeb)}}, false, kStart);
  REQUIRE(plan.refusal);
  CHECK(plan.refusal->code == "unproven");
  CHECK(plan.refusal->text ==
        "not confirmed: not opened since the trial began: tcp/22 (door ssh); opened: tcp/443 "
        "(203.0.113.9 at door web) (the trial that uid 1000 began 1 min ago)");
  CHECK(plan.refusal->advice.find("SECOND terminal") != std::string::npos);
  CHECK(plan.texts.empty());
}

TEST_CASE("how to prove a door without a knock is by hand") {
  const auto plan = plan_confirm(*kConfig, {{kMail, on_trial(10min)}}, false, kStart);
  REQUIRE(plan.refusal);
  CHECK(plan.refusal->text.find("tcp/25 (door hand, by hand)") != std::string::npos);
  CHECK(plan.refusal->advice.starts_with("sudo knockctl open hand ADDRESS"));
}

TEST_CASE("how to prove a door that takes signed packets alone is by one") {
  auto config = *kConfig;
  for (auto& door : config.doors)
    if (door.name == "hand") door.kn1 = true;
  const auto plan = plan_confirm(config, {{kMail, on_trial(10min)}}, false, kStart);
  REQUIRE(plan.refusal);
  CHECK(plan.refusal->text.find("tcp/25 (door hand, by a signed packet)") != std::string::npos);
  CHECK(plan.refusal->advice.find("knockgate open HOST hand") != std::string::npos);
  CHECK(plan.refusal->advice.find("sudo knockctl open") == std::string::npos);
}

TEST_CASE("what was opened is guarded for good, and who came in is named") {
  const auto plan = plan_confirm(*kConfig, {{kSsh, proven("ssh", kSsh)}}, false, kStart);
  CHECK_FALSE(plan.refusal);
  CHECK(plan.rest.empty());
  REQUIRE(plan.texts.size() == 3);
  CHECK(plan.texts[0] == "tcp/22 guarded for good.");
  CHECK(plan.texts[1] == "opened: tcp/22 (203.0.113.9 at door ssh).");
  CHECK(plan.texts[2] == "ended: the trial that uid 1000 began 1 min ago.");
}

TEST_CASE("--anyway takes the others on trust, and says so; what is over stays over") {
  const auto plan = plan_confirm(*kConfig, {{kSsh, on_trial(10min)}, {kWeb, on_trial(0s)}}, true, kStart);
  CHECK_FALSE(plan.refusal);
  CHECK(plan.texts.at(0) == "tcp/22 guarded for good.");
  CHECK(plan.texts.at(1) == "never opened since, taken on trust: tcp/22.");
  CHECK(plan.rest == Unconfirmed{{kWeb, on_trial(0s)}});
}

TEST_CASE("an answer names eight ports of many, and how many more there are") {
  Unconfirmed trials;
  for (std::uint16_t port = 1; port <= 20; ++port) trials[{Protocol::tcp, port}] = on_trial(10min);
  CHECK(plan_confirm(*kConfig, trials, true, kStart).texts.at(0) ==
        "tcp/1 tcp/2 tcp/3 tcp/4 tcp/5 tcp/6 tcp/7 tcp/8 12 more guarded for good.");
}

TEST_CASE("that a trial is over is told once, when it is, and the next one's end is due") {
  Unconfirmed trials{{kSsh, on_trial(5s)}, {kWeb, on_trial(10s)}, {kMail, on_trial(10s)}};
  CHECK(next_ended(trials) == kStart + 5s);
  CHECK_FALSE(tell_ended(trials, kStart + 5s - 1ms));
  CHECK(tell_ended(trials, kStart + 5s)->text == "trial over: tcp/22 was not confirmed: unguarded");
  CHECK_FALSE(tell_ended(trials, kStart + 5s));
  CHECK(next_ended(trials) == kStart + 10s);
  CHECK(tell_ended(trials, kStart + 10s)->text == "trial over: tcp/25 tcp/443 were not confirmed: unguarded");
  CHECK_FALSE(next_ended(trials));
  CHECK(trials.size() == 3); // not confirmed, until a reload
}
