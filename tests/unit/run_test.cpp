// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/run.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace knock;
using namespace std::chrono_literals;

namespace {

RunRequest wake() {
  RunRequest request;
  request.time = 5s;
  request.door = "wake";
  request.source = "2001:db8::9";
  request.via = "knock";
  request.argv = {"/usr/bin/wakeonlan", "", "a b; rm -rf $HOME `x`\n"};
  return request;
}

} // namespace

TEST_CASE("a request comes out as it went in, whatever its words hold") {
  CHECK(parse_run(encode(wake())) == wake());
  auto sent = wake();
  sent.by = "alice/laptop";
  sent.input = std::string("\0a\n'$(id)\xff", 10);
  CHECK(parse_run(encode(sent)) == sent);
  sent.input = std::string(912, 'x');
  CHECK(parse_run(encode(sent)) == sent);
}

TEST_CASE("what is no request is refused") {
  auto bad = wake();
  SUBCASE("no command") {
    bad.argv.clear();
  }
  SUBCASE("a relative path") {
    bad.argv[0] = "wakeonlan";
  }
  SUBCASE("17 words") {
    bad.argv.resize(17);
  }
  SUBCASE("a word that is too long") {
    bad.argv[1] = std::string(kMaxWord + 1, 'x');
  }
  SUBCASE("no time to run") {
    bad.time = 999ms;
  }
  SUBCASE("too much time") {
    bad.time = 11min;
  }
  SUBCASE("a source that is no address") {
    bad.source = "203.0.113.9; id";
  }
  SUBCASE("a door that is no name") {
    bad.door = "$(id)";
  }
  SUBCASE("an event nobody knows") {
    bad.event = "reboot";
  }
  SUBCASE("more input than a door takes") {
    bad.input = std::string(913, 'x');
  }
  CHECK_FALSE(parse_run(encode(bad)));
}

TEST_CASE("every part of a request is refused") {
  const auto whole = encode(wake());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto parsed = parse_run(std::string_view(whole).substr(0, size));
    // Cut behind a word it is a shorter command, and a whole one.
    if (parsed) CHECK(encode(*parsed) == whole.substr(0, size));
  }
  CHECK_FALSE(parse_run("1" + whole.substr(1)));
}

TEST_CASE("the environment is PATH and what is to know of the knock") {
  const auto environment = environment_of(wake());
  CHECK(environment.size() == 6);
  const auto has = [&](const char* text) {
    return std::find(environment.begin(), environment.end(), text) != environment.end();
  };
  CHECK(has("KNOCKGATE_DOOR=wake"));
  CHECK(has("KNOCKGATE_SOURCE=2001:db8::9"));
  CHECK(has("KNOCKGATE_BY=-"));
  CHECK(has("KNOCKGATE_VIA=knock"));
  CHECK(has("KNOCKGATE_EVENT=open"));
}
