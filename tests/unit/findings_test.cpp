// SPDX-License-Identifier: GPL-2.0-or-later
// Warnings of the config alone: their names, and which of them are meant so.
#include <knock/control.hpp>
#include <knock/findings.hpp>

#include <doctest/doctest.h>

#include <set>

#include <nlohmann/json.hpp>

using namespace knock;

namespace {

ParsedConfig parse(std::string text) {
  return parse_config(std::vector{ConfigText{"k.toml", std::move(text), ConfigText::Part::main}});
}

std::vector<std::string> lines(std::string text) {
  std::vector<std::string> lines;
  for (const auto& finding : parse(std::move(text)).findings) lines.push_back(to_string(finding));
  return lines;
}
using Lines = std::vector<std::string>;

std::string door(const std::string& name, const std::string& knock, const std::string& more = {}) {
  return "[door." + name + "]\nopens = [\"tcp/80\"]\nknock = [" + knock + "]\n" + more;
}
const std::string kFour = "\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"";
const std::string kOther = "\"udp/12899\", \"tcp/7143\", \"udp/33710\", \"tcp/4021\"";

} // namespace

TEST_CASE("names of findings are words of their own") {
  const std::set<std::string_view> names(kFindings.begin(), kFindings.end());
  CHECK(names.size() == kFindings.size());
  for (const auto name : names) CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz146-") == name.npos);
}

TEST_CASE("a finding that is accepted by its name is gone, others stay") {
  const auto weak = door("a", "\"tcp/7143\", \"udp/12899\"", "[door.b]\nopens = [\"tcp/81\"]\n");
  const auto both = parse(weak).findings;
  REQUIRE(both.size() == 2);
  CHECK(both[0].name == finding::kWeakKnock);
  CHECK(both[1].name == finding::kNoKnock);
  CHECK(to_string(both[1]).find("by hand only [no-knock]; ") != std::string::npos);
  const auto one = parse(weak + "[check]\naccept = [\"no-knock\"]\n").findings;
  REQUIRE(one.size() == 1);
  CHECK(one[0].name == finding::kWeakKnock);
  CHECK(lines(weak + "[check]\naccept = [\"no-knock\", \"weak-knock\"]\n").empty());
}

TEST_CASE("to cut a wide range ends what this host begins from it, and is told") {
  const auto cutting = [](const std::string& range, const std::string& flows) {
    return lines("[door.a]\nopens = [\"udp/" + range + "\"]\nknock = [" + kFour + "]\nflows = \"" + flows +
                 "\"\n");
  };
  CHECK(cutting("20000-32767", "cut").empty());
  CHECK(cutting("60000-61000", "keep").empty());
  const auto told = cutting("60000-61000", "cut");
  REQUIRE(told.size() == 1);
  CHECK(told[0].starts_with("k.toml:2:9: warning: door a cuts connections at udp/60000-61000: "));
  CHECK(told[0].find(" [own-ports]; write flows = \"keep\", or a range below 32768") != std::string::npos);
}

TEST_CASE("accept takes names of findings alone, and says which is meant") {
  CHECK(lines("[check]\naccept = [\"weak-knok\"]\n") ==
        Lines{"k.toml:2:11: error: there is no finding \"weak-knok\"; did you mean \"weak-knock\"?"});
  const auto far = lines("[check]\naccept = [\"door-dropped\", \"whatever\"]\n");
  REQUIRE(far.size() == 1);
  CHECK(far[0].starts_with(
      "k.toml:2:27: error: there is no finding \"whatever\"; write names that knockctl check"));
  CHECK(lines("[check]\naccept = \"no-knock\"\n").size() == 1);
  CHECK(lines("[check]\naccpt = []\n")[0].find("did you mean \"accept\"?") != std::string::npos);
  CHECK(parse("[check]\naccept = []\n").config);
}

TEST_CASE("a knock that another one begins with opens both doors: said once, where the shorter stands") {
  const auto more = kFour + ", \"tcp/9999\", \"udp/9\"";
  const auto found = lines(door("a", more) + door("b", kOther) + door("c", kFour));
  REQUIRE(found.size() == 2); // and the longer one has a well known port
  CHECK(found[1] == "k.toml:9:9: warning: the knock of door a begins with that of door c: it opens both "
                    "[knock-prefix]; begin one of them with another step (door a is at k.toml:1:7)");
  CHECK(lines(door("a", kFour) + door("b", kOther)).empty());
  CHECK(lines(door("a", kFour + ", \"tcp/17001\"") + door("b", kFour, "enabled = false\n")).empty());
  // One before many that begin with it: the nearest is named, once.
  const auto many =
      lines(door("a", kFour + ", \"tcp/17001\"") + door("b", kFour + ", \"tcp/17002\"") + door("c", kFour));
  CHECK(many.size() == 1);
}

TEST_CASE("a knock that holds another one, or another's closing knock, is told") {
  const auto held =
      lines(door("a", "\"tcp/7143\", \"tcp/24021\", \"udp/12899\", \"udp/33710\", \"tcp/4021\"") +
            door("b", kFour.substr(0)));
  CHECK(held.empty()); // in another order
  const auto inside = lines(door("a", "\"udp/24021\", " + kFour) + door("b", kFour));
  REQUIRE(inside.size() == 1);
  CHECK(inside[0].find("the knock of door a holds the knock of door b: it opens b, too [knock-prefix]") !=
        std::string::npos);
  const auto closes =
      lines(door("a", kFour) + door("b", kOther, "close_knock = [\"tcp/7143\", \"udp/12899\"]\n"));
  REQUIRE(closes.size() == 1);
  CHECK(closes[0].find("the knock of door a holds the close_knock of door b: it closes b, too") !=
        std::string::npos);
  const auto any =
      lines(door("a", kFour) + door("b", "\"udp/33710\", \"udp/12899\", \"tcp/7143\"", "order = \"any\"\n"));
  CHECK(std::any_of(any.begin(), any.end(),
                    [](const std::string& line) { return line.find("it opens b, too") != line.npos; }));
}

TEST_CASE("a held knock is told whatever its strays; with pauses only what begins another is held") {
  const auto inside =
      lines(door("a", "\"tcp/7143\", \"udp/24021\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"") +
            door("b", kFour, "strays = 0\n"));
  REQUIRE(inside.size() == 1);
  CHECK(inside[0].find("it opens b, too") != std::string::npos);
  const auto paused = [](const std::string& pause) {
    const auto found =
        lines(door("a", "\"tcp/17143 x2\", \"pause 1s\", \"tcp/24021\", \"tcp/4021\"") +
              door("b", "\"tcp/17143\", \"pause " + pause + "\", \"tcp/24021\"", "within = \"60s\"\n"));
    return std::count_if(found.begin(), found.end(),
                         [](const std::string& line) { return line.find("knock-prefix") != line.npos; });
  };
  CHECK(paused("20s") == 0);
}

TEST_CASE("words that knockd would replace are named, and what to read instead") {
  const auto run = [](const std::string& words) {
    return lines("[door.a]\nknock = [" + kFour + "]\nrun = [\"/usr/bin/logger\", " + words + "]\n");
  };
  CHECK(run("\"open\", \"%IP%\"") ==
        Lines{"k.toml:3:35: warning: run of door a gets \"%IP%\" as it stands: nothing replaces it "
              "[run-word]; let "
              "the command read the address from its environment: KNOCKGATE_SOURCE"});
  CHECK(run("\"src=%s\"").size() == 1);
  CHECK(run("\"+%F\", \"50%\", \"100% sure\", \"$KNOCKGATE_SOURCE\"").empty());
}

TEST_CASE("a check is one JSON document, with every finding") {
  const auto weak = nlohmann::json::parse(check_line(parse(door("a", "\"tcp/7143\""))));
  CHECK(weak["doors"] == 1);
  CHECK(weak["error"].is_null());
  REQUIRE(weak["findings"].size() == 1);
  CHECK(weak["findings"][0]["name"] == "weak-knock");
  CHECK(weak["findings"][0]["level"] == "warning");
  CHECK(weak["findings"][0]["line"] == 3);
  const auto bad = nlohmann::json::parse(check_line(parse("[door.a]\nopnes = 1\n")));
  CHECK(bad["doors"].is_null());
  CHECK(bad["error"]["line"] == 2);
  CHECK(bad["findings"][0]["level"] == "error");
}

TEST_CASE("a finding is one line, whatever the file is called") {
  Finding finding{
      Finding::Level::error, {"users.d/a\nready by=evil\x1b[31m.toml", 1, 2}, "no TOML", "chmod it\n"};
  CHECK(to_string(finding) == "users.d/a\\x0aready by=evil\\x1b[31m.toml:1:2: error: no TOML; chmod it\\x0a");
  CHECK(to_string(Failure{ExitCode::usage, "usage", {}, "\"a\nb\" is no name", ""}) ==
        "\"a\\x0ab\" is no name");
}
