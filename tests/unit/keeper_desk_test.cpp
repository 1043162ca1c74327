// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/desk.hpp"

#include <doctest/doctest.h>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

const auto kConfig = config_of(
    kSshDoor + door_text("7", 7'300, "opens = [\"tcp/443\"]") +
    door_text("off", 7'400, "enabled = false\nopens = [\"tcp/25\"]") +
    door_text("fwd", 7'500, "forward = { \"tcp/8443\" = \"192.0.2.20:443\" }") +
    door_text("day", 7'700, "opens = [\"tcp/993\"]") +
    door_text("run", 7'600, "forward = { \"tcp/9443\" = \"192.0.2.20:443\" }\nrun = [\"/bin/true\"]"));

/// What a request is judged by: the router is 192.0.2.1.
struct Judge {
  Memory memory{};
  Knocks knocks{};

  Judge() {
    knocks.follow(*kConfig);
    knocks.set_own({address("192.0.2.1")});
  }
  [[nodiscard]] Taken take(const Asked& asked) const {
    return keeper::take(asked, {*kConfig, memory, knocks, kStart});
  }
  [[nodiscard]] Taken take(std::string verb, Values values = {}) const {
    return take(asked(7, std::move(verb), std::move(values)));
  }
};

Judge off() {
  Judge judge;
  judge.memory.off_since = 1;
  return judge;
}

/// Why it was refused; empty: it was not.
std::string refused(const Taken& taken) {
  if (const auto* plain = std::get_if<Plain>(&taken)) return plain->reply.failure.text;
  const auto* reply = std::get_if<Reply>(&taken);
  return reply == nullptr ? std::string() : reply->failure.text;
}

std::vector<std::string> texts(const Reply& reply) {
  std::vector<std::string> texts;
  for (const auto& line : reply.lines) texts.push_back(text_of(line).value_or(line));
  return texts;
}

Values opening(std::string door, std::string source) {
  return {{"door", std::move(door)}, {"source", std::move(source)}};
}

} // namespace

TEST_CASE("a verb that the daemon does not know, or that is knockctl's alone, is refused and not logged") {
  for (const char* verb : {"", "opne", "check", "template"}) {
    const auto taken = Judge().take(verb);
    REQUIRE(std::holds_alternative<Plain>(taken));
    CHECK(std::get<Plain>(taken).reply.failure.exit == ExitCode::usage);
  }
}

TEST_CASE("each verb asks for its right, and tells how to get it") {
  const auto exit = [](std::string verb, Right right) {
    auto request = asked(7, std::move(verb));
    request.right = right;
    const auto taken = Judge().take(request);
    return std::holds_alternative<Plain>(taken) ? std::get<Plain>(taken).reply.failure.exit : ExitCode::done;
  };
  for (const char* verb : {"open", "close", "reload", "confirm"}) {
    CHECK(exit(verb, Right::read) == ExitCode::denied);
    CHECK(exit(verb, Right::write) == ExitCode::done);
  }
  for (const char* verb : {"save", "off", "on"}) CHECK(exit(verb, Right::write) == ExitCode::denied);
  CHECK(exit("wait", Right::read) == ExitCode::done);
}

TEST_CASE("open: a hand's opening, for its own time") {
  auto values = opening("ssh", "203.0.113.9");
  values["for"] = "2m";
  const auto taken = Judge().take("open", values);
  REQUIRE(std::holds_alternative<keeper::Opening>(taken));
  const auto& made = std::get<keeper::Opening>(taken);
  CHECK(made.ticket == 7);
  CHECK(made.opens);
  CHECK(made.request.via == Via::hand);
  CHECK(made.request.open_for == 2min);
  CHECK(made.request.ports == std::vector{kSsh});
}

TEST_CASE("open: what cannot be is refused, and the text says what") {
  const Judge judge;
  CHECK(refused(judge.take("open", opening("nowhere", "203.0.113.9"))) == "there is no door nowhere");
  CHECK(refused(judge.take("open", opening("off", "203.0.113.9"))) == "there is no door off");
  for (const char* source : {"203.0.113", "127.0.0.1", "ff02::1", "0.0.0.0"})
    CHECK(refused(judge.take("open", opening("ssh", source))) ==
          std::string(source) + " is no address of a host");
  CHECK(refused(judge.take("open", opening("ssh", "192.0.2.1"))) == "192.0.2.1 is an address of this router");
  CHECK(refused(judge.take("open", opening("fwd", "2001:db8::9"))) == "door fwd leads nowhere over IPv6");
  CHECK(refused(off().take("open", opening("ssh", "203.0.113.9"))) == "knockgate is off: every port is open");
  const auto timed = [&](const char* time) {
    auto values = opening("ssh", "203.0.113.9");
    values["for"] = time;
    return refused(judge.take("open", values));
  };
  for (const char* time : {"5m1s", "-1s", "", "99999999999999999999h"})
    CHECK(timed(time) == std::string(time) + " is no time");
  for (const char* time : {"0s", "999ms"}) CHECK(timed(time) == std::string(time) + " is less than 1s");
  CHECK(timed("301s") == "301s is more than max, 5m");
  auto day = opening("day", "203.0.113.9");
  day["for"] = "25h";
  CHECK(refused(judge.take("open", day)) == "25h is more than max, 24h");
}

TEST_CASE("open: a door that leads nowhere for this family runs its command all the same") {
  const auto taken = Judge().take("open", opening("run", "2001:db8::9"));
  REQUIRE(std::holds_alternative<keeper::Opening>(taken));
  CHECK_FALSE(std::get<keeper::Opening>(taken).opens);
}

TEST_CASE("close: a door, an id, or all; of a source as status prints it") {
  const auto which = [](Values values) {
    return std::get<Closing>(Judge().take("close", std::move(values))).which;
  };
  CHECK(which({{"what", "ssh"}}).door == "ssh");
  CHECK(which({{"what", "12"}}).id == 12U);
  CHECK(which({{"what", "7"}}).door == "7"); // a door of that name comes first
  CHECK(which({{"what", "off"}}).door == "off");
  CHECK(which({{"what", "foreign"}}).door == "foreign");
  CHECK(std::get<Closing>(Judge().take("close", {{"all", "1"}})).all);
  CHECK(refused(Judge().take("close")) == "close what?");

  const auto source = [&](std::string text) { return which({{"what", "ssh"}, {"source", std::move(text)}}); };
  CHECK(source("203.0.113.9").source == kClient);
  CHECK(source("203.0.113.0/24").source == address("203.0.113.0"));
  CHECK(source("2001:db8::/64").source == address("2001:db8::"));
  CHECK(source("203.0.113.9:50022").source == kClient);
  CHECK(source("203.0.113.9:50022").source_port == 50'022);
  for (const char* text : {"203.0.113.0/23", "2001:db8::/48", "client"})
    CHECK(refused(Judge().take("close", {{"what", "ssh"}, {"source", text}})) ==
          std::string(text) + " is no address");
}

TEST_CASE(
    "a door that is not there is said to be so, and the nearest is named; no refusal is without advice") {
  const auto advice = [](std::string verb, Values values) {
    const auto taken = Judge().take(std::move(verb), std::move(values));
    REQUIRE(std::holds_alternative<Reply>(taken));
    return std::get<Reply>(taken).failure.advice;
  };
  CHECK(refused(Judge().take("close", {{"what", "sssh"}})) == "there is no door sssh");
  CHECK(advice("close", {{"what", "sssh"}}) == "did you mean ssh?");
  CHECK(advice("open", opening("shs", "203.0.113.9")) == "did you mean ssh?");
  CHECK(advice("open", opening("off", "203.0.113.9")).starts_with("it is disabled"));
  CHECK_FALSE(advice("close", {{"what", "nothing-like-it"}}).empty());
  CHECK_FALSE(advice("close", {{"what", "ssh"}, {"source", "client"}}).empty());
  for (const char* source : {"203.0.113", "192.0.2.1"})
    CHECK_FALSE(advice("open", opening("ssh", source)).empty());
}

TEST_CASE("save: who only looks leaves no line in the log") {
  CHECK(std::holds_alternative<Plain>(Judge().take("save", {{"look", "1"}})));
  CHECK(std::holds_alternative<Reply>(Judge().take("save")));
}

TEST_CASE("reload: without a time it asks before it guards a new port; off, a trial would prove nothing") {
  const auto options = [](Values values) {
    return std::get<RuleChange>(Judge().take("reload", std::move(values))).options;
  };
  CHECK(options({}).ask);
  CHECK_FALSE(options({{"now", "1"}}).ask);
  CHECK(options({{"now", "1"}}).now);
  CHECK_FALSE(options({{"confirm", "10m"}}).ask);
  CHECK(options({{"confirm", "10m"}}).confirm == 10min);
  for (const char* time : {"0s", "25h", "soon"})
    CHECK(refused(Judge().take("reload", {{"confirm", time}})) ==
          std::string(time) + " is no time from 1s to 24h");
  CHECK(std::holds_alternative<RuleChange>(off().take("reload")));
  CHECK(refused(off().take("reload", {{"confirm", "10m"}})) ==
        "knockgate is off: a trial would prove nothing");
}

TEST_CASE("what is already so is told, and is no work") {
  CHECK(texts(std::get<Reply>(off().take("off"))) ==
        std::vector<std::string>{"off already: nothing is guarded."});
  CHECK(texts(std::get<Reply>(Judge().take("on"))) == std::vector<std::string>{"on already."});
  CHECK(std::get<RuleChange>(Judge().take("off")).verb == RuleChange::Verb::off);
  CHECK(std::get<RuleChange>(off().take("on")).verb == RuleChange::Verb::on);
}

TEST_CASE("save: root hears which ports are not for the boot file, those whose trial is over, too") {
  Judge judge;
  judge.memory.unconfirmed = {{kSsh, {.until = kStart - 1s}}, {kWeb, {.until = kStart + 1h}}};
  const auto facts = parse_save_facts(std::get<Reply>(judge.take("save")).lines);
  REQUIRE(facts);
  CHECK(facts->config == kConfig->hash);
  CHECK_FALSE(facts->off);
  CHECK(facts->unconfirmed == std::vector{kSsh, kWeb});
}

TEST_CASE("a hand is told what the ledger made of its opening, and which limit to raise") {
  const auto& door = *enabled_door(*kConfig, "ssh");
  LedgerEvent event;
  event.grant.ends = kStart + 30s;
  CHECK(texts(opening_reply(event, door, kClient, kStart)) ==
        std::vector<std::string>{"opened ssh for 203.0.113.9: 30 s left"});
  event.verb = LedgerEvent::Verb::extend;
  CHECK(texts(opening_reply(event, door, kClient, kStart))[0].starts_with("extended ssh"));
  event.verb = LedgerEvent::Verb::refused;
  event.reason = "per_source";
  CHECK(opening_reply(event, door, kClient, kStart).failure.text == "[limits] per_source is reached");
  event.reason = "door_grants";
  CHECK(
      opening_reply(event, door, kClient, kStart).failure.text.starts_with("[door.ssh] grants is reached: "));
}

TEST_CASE("one who waits is answered once, and the log says which hand asked for what, on one line") {
  Desk desk;
  Said said;
  desk.wait(asked(7, "close", {{"what", "ssh\nopen"}, {"x\ny", "z"}}));
  desk.answer(7, told({"1 grant closed."}), said);
  desk.answer(7, told({"again"}), said);
  desk.answer(8, told({"nobody"}), said);
  REQUIRE(said.told.size() == 1);
  CHECK(said.told[0].ticket == 7);
  REQUIRE(said.lines.size() == 1);
  CHECK(said.lines[0].text == "hand verb=close uid=0 what=\"ssh\\x0aopen\" exit=0");
}

TEST_CASE("what changed nothing is answered without a line in the log") {
  Desk desk;
  Said said;
  desk.wait(asked(7, "wait"));
  desk.answer_plainly(7, {}, said);
  desk.answer_plainly(7, {}, said);
  CHECK(said.told.size() == 1);
  CHECK(said.lines.empty());
}

TEST_CASE("an answer is kept until the runner took the command; if it did not, the answer says so") {
  Desk desk;
  Said said;
  desk.wait(asked(7, "open"));
  desk.keep(7, told({"opened run"}), "/bin/true");
  CHECK(said.told.empty());
  desk.hear({.ticket = 8}, said);
  CHECK(said.told.empty());
  SUBCASE("took") {
    desk.hear({.ticket = 7}, said);
    CHECK(texts(said.told.at(0).reply) == std::vector<std::string>{"opened run", "started /bin/true"});
  }
  SUBCASE("did not") {
    desk.hear({.ticket = 7, .error = Error{"no runner", 111, ""}}, said);
    CHECK(said.told.at(0).reply.failure.text == "no runner");
  }
  desk.hear({.ticket = 7}, said);
  CHECK(said.told.size() == 1);
}
