// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completion.hpp>

#include <doctest/doctest.h>
#include <fmt/ranges.h>

using namespace knock;

namespace {

StatusGrant grant(std::uint64_t id, std::string door, std::string source) {
  StatusGrant one;
  one.id = id;
  one.door = std::move(door);
  one.source = std::move(source);
  return one;
}
const Known kKnown{
    {grant(7, "ssh", "203.0.113.9"), grant(12, "ssh", "2001:db8::9"), grant(71, "web", "198.51.100.7")},
    {"adm", "ssh", "web"},
    {"alice", "bob"},
    {"alice/laptop", "alice/pad", "bob/pc"}};

std::string complete(std::vector<std::string_view> words) {
  return fmt::format("{}", fmt::join(completions(words, kKnown), " "));
}

} // namespace

TEST_CASE("verbs, and the options that a verb takes") {
  CHECK(complete({"o"}) == "off on open");
  CHECK(complete({"--json", "sta"}) == "status");
  CHECK(complete({"--socket", "/run/x", "sa"}) == "save");
  CHECK(complete({""}).starts_with("check clock close confirm "));
  CHECK(complete({"reload", "--"}) == "--config --confirm --help --json --now --socket --version");
  CHECK(complete({"close", "--c"}) == "--config --cut");
  CHECK(complete({"template", ""}) == "cut embed forward gate kn1 wide");
}

TEST_CASE("doors to open; of what is open doors, ids and sources to close") {
  CHECK(complete({"open", ""}) == "adm ssh web");
  CHECK(complete({"open", "w"}) == "web");
  CHECK(complete({"open", "adm", ""}) == "198.51.100.7 2001:db8::9 203.0.113.9");
  CHECK(complete({"close", ""}) == "12 7 71 ssh web");
  CHECK(complete({"close", "7"}) == "7 71");
  CHECK(complete({"close", "ssh", ""}) == "2001:db8::9 203.0.113.9");
  CHECK(complete({"close", "71", ""}) == "198.51.100.7");
  CHECK(complete({"close", "ssh", "203.0.113.9", ""}).empty());
}

TEST_CASE(
    "where a file or a time stands, or nothing, nothing is proposed; and only live words are asked for") {
  for (const std::vector<std::string_view>& words : {std::vector<std::string_view>{"--config", ""},
                                                     {"open", "ssh", "--for", ""},
                                                     {"off", ""},
                                                     {"check", ""}}) {
    CHECK(complete(words).empty());
    CHECK_FALSE(completes_live(words).doors);
    CHECK_FALSE(completes_live(words).grants);
  }
  CHECK(completes_live(std::vector<std::string_view>{"close", ""}).grants);
  CHECK_FALSE(completes_live(std::vector<std::string_view>{"close", ""}).people);
  CHECK_FALSE(completes_live(std::vector<std::string_view>{"close", "--"}).grants);
  CHECK_FALSE(completes_live({}).grants);
}

TEST_CASE("users, devices and doors where a verb takes them, and each part's own options") {
  CHECK(complete({"user", ""}) == "add list remove show");
  CHECK(complete({"user", "show", ""}) == "alice bob");
  CHECK(complete({"user", "remove", "b"}) == "bob");
  CHECK(complete({"user", "list", ""}).empty());
  CHECK(complete({"user", "add", ""}).empty());
  CHECK(complete({"device", "list", ""}) == "alice bob");
  CHECK(complete({"device", "line", "alice/"}) == "alice/laptop alice/pad");
  CHECK(complete({"device", "remove", "b"}) == "bob/pc");
  CHECK(complete({"device", "rotate", "--grace", "2d", ""}) == "alice/laptop alice/pad bob/pc");
  CHECK(complete({"device", "add", ""}).empty());
  CHECK(complete({"invite", ""}) == "alice bob");
  CHECK(complete({"invite", "alice/new", "--door", ""}) == "adm ssh web");
  CHECK(complete({"invite", "--knock", "w"}) == "web");
  CHECK(complete({"user", "add", "carol", "--door", "s"}) == "ssh");
  CHECK(complete({"user", "remove", "bob", "--c"}) == "--config --cut");
  CHECK(complete({"user", "show", "bob", "--c"}) == "--config");
  CHECK(complete({"key", ""}) == "rotate show");
}
