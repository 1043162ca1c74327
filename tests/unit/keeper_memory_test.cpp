// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/memory.hpp"

#include <doctest/doctest.h>

#include <knock/last_good.hpp>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

using File = Remember::File;

Memory off_and_on_trial() {
  Memory memory;
  memory.off_since = 1'790'000'000;
  memory.unconfirmed[kSsh] = {.until = kStart + 10min, .begun = kStart, .uid = 1000};
  memory.unconfirmed[kWeb] = {.until = kStart + 1min, .told = false, .begun = kStart, .uid = 0};
  return memory;
}

/// The files after all of `steps` were done.
MemorySeen written(const Steps& steps, MemorySeen files = {}) {
  for (const auto& step : steps) {
    const auto& one = std::get<Remember>(step);
    (one.file == File::off ? files.off : files.unconfirmed) = one.text;
  }
  return files;
}

Memory recalled(const MemorySeen& files, const std::string& boot = "boot-1") {
  std::vector<Line> lines;
  auto memory = Disk(boot).recall(files, lines);
  CHECK(lines.empty());
  return memory;
}

} // namespace

TEST_CASE("what is true is on disk after the steps, and there are none when it is") {
  Disk disk("boot-1");
  CHECK(disk.remember({}).empty());
  const auto memory = off_and_on_trial();
  const auto steps = disk.remember(memory);
  REQUIRE(steps.size() == 2);
  CHECK(std::get<Remember>(steps[0]).file == File::off); // it waits for no other file
  const auto again = recalled(written(steps));
  CHECK(again.unconfirmed == memory.unconfirmed);
  CHECK(again.off_since == memory.off_since);
  for (const auto& step : steps) disk.settle(std::get<Remember>(step), memory);
  CHECK(disk.remember(memory).empty());
}

TEST_CASE("a step that was not done is a step again, and only that one") {
  Disk disk("boot-1");
  const auto memory = off_and_on_trial();
  const auto steps = disk.remember(memory);
  disk.settle(std::get<Remember>(steps.at(0)), memory);
  const auto rest = disk.remember(memory);
  REQUIRE(rest.size() == 1);
  CHECK(std::get<Remember>(rest[0]).file == std::get<Remember>(steps.at(1)).file);
}

TEST_CASE("when nothing is off or on trial any more the files are removed") {
  Disk disk("boot-1");
  std::vector<Line> lines;
  (void)disk.recall(written(Disk("boot-1").remember(off_and_on_trial())), lines);
  const auto steps = disk.remember({});
  REQUIRE(steps.size() == 2);
  for (const auto& step : steps) CHECK(std::get<Remember>(step).text.empty());
}

TEST_CASE("over a reboot off stays off, and a trial is over") {
  const auto memory = recalled(written(Disk("boot-1").remember(off_and_on_trial())), "boot-2");
  CHECK(memory.off_since == 1'790'000'000);
  REQUIRE(memory.unconfirmed.size() == 2);
  CHECK(memory.unconfirmed.at(kSsh).until <= Instant{});
}

TEST_CASE("a file of trials that is not ours is named and ignored, and not left as it is") {
  for (const std::string& text : {std::string("tcp/22"), std::string("tcp/22 99999999999999999999 boot-1\n"),
                                  std::string("\0\0\0\n", 4), std::string(1 << 20, 'x')}) {
    Disk disk("boot-1");
    std::vector<Line> lines;
    const auto memory = disk.recall({text, "1790000000\n", ""}, lines);
    CHECK(memory.unconfirmed.empty());
    CHECK(memory.off_since == 1'790'000'000); // the other file is none the worse
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].text == "the state file `unconfirmed` is not ours; it is ignored");
    const auto steps = disk.remember(memory);
    REQUIRE(steps.size() == 1);
    CHECK(std::get<Remember>(steps[0]).file == File::unconfirmed);
  }
}

TEST_CASE("off that root did alone is news once, by the millisecond; written down it stays as it is") {
  Disk disk("boot-1");
  CHECK_FALSE(disk.learn_off(""));
  CHECK(disk.learn_off("1790000000.250\n") == 1'790'000'000'250);
  CHECK_FALSE(disk.learn_off("1790000000.250\n"));
  CHECK(disk.learn_off("1790000001\n") == 1'790'000'001'000);
  Memory memory;
  memory.off_since = 1'790'000'001;
  CHECK(disk.remember(memory).empty());
  for (const char* text : {"99999999999999999999", "-5", "9223372036854775807.9999", "1.", "."})
    CHECK(disk.learn_off(text).has_value());
}

TEST_CASE("off holds whatever its file says: it is there") {
  for (const char* text : {"1790000000\n", "0\n", "\n", "never", "99999999999999999999999\n"})
    CHECK(recalled({"", text, ""}).off_since.has_value());
  CHECK_FALSE(recalled({"", "", ""}).off_since);
}

TEST_CASE("the configuration applied last is written once, whole, and comes back") {
  Disk disk("boot-1");
  std::vector<Line> lines;
  auto memory = disk.recall({"", "", "old"}, lines);
  CHECK(*memory.last_good == "old");
  CHECK(disk.remember(memory).empty());
  const LastGood last{"boot-1",
                      {{"knockgate.toml", "a = \"\xc3\xa9\"\n", ConfigText::Part::main},
                       {"doors.d/ssh.toml", "", ConfigText::Part::doors}}};
  memory.last_good = std::make_shared<const std::string>(encode_last_good(last));
  const auto steps = disk.remember(memory);
  REQUIRE(steps.size() == 1);
  const auto& step = std::get<Remember>(steps[0]);
  CHECK(step.file == File::last_good);
  disk.settle(step, memory);
  CHECK(disk.remember(memory).empty());
  const auto again = parse_last_good(step.text);
  REQUIRE(again);
  CHECK(again->boot == "boot-1");
  REQUIRE(again->texts.size() == 2);
  CHECK(again->texts[0].text == last.texts[0].text);
  CHECK(again->texts[1].file == "doors.d/ssh.toml");
  CHECK(again->texts[1].part == ConfigText::Part::doors);
  for (const char* text :
       {"", "[]", "{}", "{\"boot\": 1, \"files\": []}", "{\"boot\": \"b\", \"files\": [{}]}",
        "{\"boot\": \"b\", \"files\": [{\"file\": \"f\", \"part\": \"x\", \"text\": \"\"}]}"})
    CHECK_FALSE(parse_last_good(text));
}
