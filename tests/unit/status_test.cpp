// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/control.hpp>
#include <knock/status.hpp>

#include <doctest/doctest.h>

#include <sstream>

using namespace knock;

namespace {

constexpr std::int64_t kNow = 1'763'890'000;

Status example() {
  Status status;
  status.version = "0.1.0";
  status.state = "enforcing";
  status.uptime_ms = 273'600'000;
  status.config.doors = 3;
  status.config.read = kNow - 41 * 60;
  status.config.boot_file = "differs";
  status.nflog.groups = {40, 41, 42, 43};
  status.nflog.packets = 182'340;
  status.tracker.attempts = 12;
  status.gate.table = "inet knockgate";
  status.gate.loaded = true;
  status.gate.trust = {"lan0"};
  status.gate.guarded = {{"tcp/22", {}}, {"tcp/8443", 420'000}};
  status.grant_limit = 65'536;
  status.open = 2;
  StatusGrant grant;
  grant.id = 1;
  grant.door = "ssh";
  grant.source = "203.0.113.9";
  grant.ports = {"tcp/22"};
  grant.by = "alice/phone";
  grant.via = "knock";
  grant.opened = kNow - 130;
  grant.left_ms = 28'500;
  grant.bytes = 14'600;
  status.grants.push_back(grant);
  grant.id = 2;
  grant.source = "2001:db8:7:1:a:b:c:ddd";
  grant.by = "-";
  grant.bytes = 0;
  status.grants.push_back(grant);
  status.warnings = {{"unconfirmed", "tcp/8443 unconfirmed, unguarded in 7 min", "sudo knockctl confirm"}};
  return status;
}

} // namespace

TEST_CASE("a grant without an end says so, on the screen and in JSON") {
  auto status = example();
  status.grants.resize(1);
  status.grants[0].left_ms.reset();
  status.grants[0].cap_ms.reset();
  CHECK(to_text(status, kNow).find("no end  14 KiB    by hand\n") != std::string::npos);
  CHECK(to_json(status).find("\"left_ms\":null,\"cap_ms\":null") != std::string::npos);
  Status read;
  REQUIRE(parse_status(to_json(status), read));
  CHECK_FALSE(read.grants.at(0).left_ms);
  CHECK_FALSE(read.grants.at(0).cap_ms);
}

TEST_CASE("a table that is not as it was loaded differs") {
  auto status = example();
  status.gate.loaded = false;
  status.gate.differs = true;
  Status read;
  REQUIRE(parse_status(to_json(status), read));
  CHECK(to_text(read, kNow).find("table DIFFERS") != std::string::npos);
}

TEST_CASE("who is not shown the firewall's findings is told so, in text and in JSON") {
  auto status = example();
  CHECK(to_text(status, kNow).find("shown to root") == std::string::npos);
  CHECK(to_json(status).find("\"findings_hidden\":false") != std::string::npos);
  status.findings_hidden = true;
  CHECK(to_text(status, kNow)
            .ends_with("sudo knockctl confirm\n"
                       "what this host's firewall drops is shown to root alone: sudo knockctl status\n"));
  status.warnings.clear();
  CHECK(to_text(status, kNow)
            .ends_with("65,536\n\n"
                       "what this host's firewall drops is shown to root alone: sudo knockctl status\n"));
  CHECK(to_json(status).find("\"findings_hidden\":true") != std::string::npos);
}

TEST_CASE("status is a table of 80 columns; a long address takes its own line") {
  CHECK(to_text(example(), kNow) ==
        "knockgate 0.1  gate  up 3d 4h  config ok (3 doors, read 41 min ago)\n"
        "packets   182,340 logged, 0 lost   groups 40-43   12 attempts\n"
        "guarded   tcp/22 tcp/8443          trusted lan0   table ok   boot file differs\n"
        "\n"
        "DOOR  SOURCE       BY           VIA    OPENED     LEFT  RECEIVED  ENDS\n"
        "ssh   203.0.113.9  alice/phone  knock  2 min ago  28 s  14 KiB    after\n"
        "ssh   2001:db8:7:1:a:b:c:ddd\n"
        "                   -            knock  2 min ago  28 s  none      after\n"
        "2 open of 65,536\n"
        "\n"
        "warning  tcp/8443 unconfirmed, unguarded in 7 min   run: sudo knockctl confirm\n");
  std::istringstream lines(to_text(example(), kNow));
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
}

TEST_CASE("an IPv4 session stays on its line") {
  auto status = example();
  status.grants[0].source = "203.0.113.129";
  status.grants[0].source_port = 48'204;
  status.grants[0].via = "session";
  status.grants[0].by = "-";
  status.grants[0].close = "on-disconnect";
  status.grants.resize(1);
  const auto text = to_text(status, kNow);
  CHECK(text.find("ssh   203.0.113.129:48204  -   session  2 min ago  connected  -         -\n") !=
        std::string::npos);
  status.grants[0].source = "203.0.113.9";
  status.grants[0].by = "alice/phone";
  const auto wide = to_text(status, kNow);
  CHECK(wide.find("ssh   203.0.113.9:48204\n") != std::string::npos);
  std::istringstream lines(text + wide);
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
}

TEST_CASE("nothing open, no door, and off each say so") {
  auto status = example();
  status.grants.clear();
  CHECK(to_text(status, kNow).find("\nnothing is open\n") != std::string::npos);
  CHECK(to_text(status, kNow).find("table ok") != std::string::npos);
  status.gate.loaded = false;
  CHECK(to_text(status, kNow).find("table MISSING") != std::string::npos);
  status.state = "idle";
  CHECK(to_text(status, kNow).find("no table") != std::string::npos);
  CHECK(to_text(status, kNow).find("no door enabled: nothing is guarded") != std::string::npos);
  status.state = "off";
  CHECK(to_text(status, kNow).substr(0, 90).find("OFF") != std::string::npos);
  CHECK(to_text(status, kNow).find("no table") != std::string::npos);
}

TEST_CASE("a long address stays in its row where the screen is wide enough, and always in a pipe") {
  auto status = example();
  status.warnings = {{"healing", std::string(100, 'x'), "sudo knockctl reload --now"}};
  for (const auto width : {std::size_t{100}, std::string::npos}) {
    const auto text = to_text(status, kNow, {width});
    CAPTURE(text);
    CHECK(text.find("ssh   203.0.113.9             alice/phone  knock  2 min ago  28 s  14 KiB    after\n") !=
          std::string::npos);
    CHECK(text.find("ssh   2001:db8:7:1:a:b:c:ddd  -            knock  2 min ago  28 s  none      after\n") !=
          std::string::npos);
    CHECK((text.find("x   run: sudo knockctl reload --now\n") != std::string::npos) == (width > 100));
  }
}

TEST_CASE("who is connected is connected, and not about to end; who outlives the grant is counted") {
  auto status = example();
  status.grants[0].close = "on-disconnect";
  status.grants[0].connected = true;
  status.connections = {{"ssh", "198.51.100.7", 3}};
  const auto text = to_text(status, kNow, {100});
  CHECK(text.find("2 min ago  connected  14 KiB    disconnect\n") != std::string::npos);
  CHECK(text.find("ssh   198.51.100.7            -            -      -          -          -         3 "
                  "connections\n") != std::string::npos);
  status.grants.clear();
  CHECK(to_text(status, kNow).find("3 connections\nnothing is open\n") != std::string::npos);
  CHECK(to_json(status).find(R"("connections":[{"count":3,"door":"ssh","source":"198.51.100.7"}])") !=
        std::string::npos);
}

TEST_CASE("ids are shown when asked") {
  CHECK(to_text(example(), kNow).find("ID") == std::string::npos);
  const auto text = to_text(example(), kNow, {100, false, true});
  CHECK(text.find("\nID  DOOR  SOURCE") != std::string::npos);
  CHECK(text.find("\n2   ssh   2001:db8:7:1:a:b:c:ddd  -  ") != std::string::npos);
}

TEST_CASE("disabled doors are listed, however many") {
  auto status = example();
  CHECK(to_text(status, kNow).find("disabled") == std::string::npos);
  status.config.disabled = {"nas", "mail"};
  CHECK(to_text(status, kNow).find("\ndisabled  nas mail\n") != std::string::npos);
  for (int i = 0; i < 9'998; ++i) status.config.disabled.push_back("d" + std::to_string(i));
  CHECK(to_text(status, kNow).find(" d3 and 9994 more\n") != std::string::npos);
  Status back;
  for (const auto& line : encode(status)) {
    CHECK(line.size() <= kMaxReplyLine);
    REQUIRE(parse_status(line, back));
  }
  CHECK(back.config.disabled == status.config.disabled);
}

TEST_CASE("for people and scripts it is one document, and the same") {
  auto status = example();
  for (std::uint64_t id = 3; id < 2000; ++id) {
    status.grants.push_back(status.grants[0]);
    status.grants.back().id = id;
    status.grants.back().connected = id % 2 == 0;
  }
  Status back;
  REQUIRE(parse_status(to_json(status), back));
  CHECK(to_json(back) == to_json(status));
  CHECK(back.grants.size() == status.grants.size());
}

TEST_CASE("JSON lines give back the same status, however many grants there are") {
  auto status = example();
  const auto grant = status.grants[0];
  for (std::uint64_t id = 3; id < 2000; ++id) {
    status.grants.push_back(grant);
    status.grants.back().id = id;
  }
  Status back;
  const auto lines = encode(status);
  CHECK(lines.size() > 5);
  for (const auto& line : lines) {
    CHECK(line.size() <= kMaxReplyLine);
    REQUIRE(parse_status(line, back));
  }
  CHECK(to_text(back, kNow, {80, true}) == to_text(status, kNow, {80, true}));
  CHECK(back.grants.back().id == 1999);
}

TEST_CASE("a number that fits into none of ours makes it no status line") {
  const auto line = encode(example()).front();
  Status status;
  REQUIRE(parse_status(line, status));
  for (const char* key : {"\"left_ms\":", "\"uptime_ms\":", "\"cap_ms\":"})
    for (const char* number : {"1e300", "-1e300", "99999999999999999999999", "0.5"}) {
      CAPTURE(key);
      CAPTURE(number);
      auto bad = line;
      const auto at = bad.find(key) + std::string_view(key).size();
      bad.replace(at, bad.find_first_of(",}", at) - at, number);
      CHECK_FALSE(parse_status(bad, status));
    }
}

TEST_CASE("what is no status line is refused") {
  Status status;
  for (const char* line : {"", "x", "[]", "{}", R"({"schema":2})", R"({"schema":1,"version":7})",
                           R"({"schema":1,"grants":[{}]})"}) {
    CAPTURE(line);
    CHECK(parse_status(line, status) == false);
  }
}

TEST_CASE("one is one, and all else is many") {
  CHECK(plural(1, "door") == "1 door");
  CHECK(plural(0, "door") == "0 doors");
  CHECK(plural(1'200, "grant") == "1200 grants");
}
