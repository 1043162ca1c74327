// SPDX-License-Identifier: GPL-2.0-or-later
// What `knock` and `close_knock` may say, what is said of what they may not, and what a knock is worth.
#include <knock/config.hpp>
#include <knock/flags.hpp>
#include <knock/sequence.hpp>
#include <knock/strength.hpp>

#include <doctest/doctest.h>

#include "core/config/steps.hpp"

using namespace knock;
using namespace knock::grammar;
using namespace std::chrono_literals;

namespace {

/// As it is written again.
std::string again(std::string_view text) {
  const auto step = parse_step(text);
  if (!step) return "none";
  return step->kind ? to_string(*step->kind) : "a pause";
}

ParsedConfig parse(const std::string& door) {
  return parse_config(
      std::vector{ConfigText{"k.toml", "[door.x]\nopens = [\"tcp/80\"]\n" + door, ConfigText::Part::main}});
}

std::string first(const std::string& door) {
  const auto parsed = parse(door);
  return parsed.findings.empty() ? "" : to_string(parsed.findings[0]);
}

Strength strength(const std::string& door) {
  return strength_of(sequences_of(parse(door).config->doors[0]).front());
}

} // namespace

TEST_CASE("each kind of step reads as it is written") {
  for (const char* text :
       {"tcp/7143", "tcp/7143:fin+syn", "udp/12899", "udp/12899/len=0", "udp/1/len=65507", "icmp", "icmp6",
        "icmp/len=42", "icmp:\"Passw0rd\"", "icmp6:\"a b\"", "udp/5:\"\\\"\\\\\\x00\""})
    CHECK(again(text) == text);
  CHECK(again("tcp/7143:syn") == "tcp/7143"); // what a plain step is
  CHECK(again("udp/5:\"\\x41\"") == "udp/5:\"A\"");
  CHECK(parse_step("tcp/7143:fin+urg")->kind->flags == (kTcpFin | kTcpUrg));
  CHECK(parse_step("tcp/7143 x5")->count == 5);
  CHECK(parse_step("icmp:\"x5 x5\" x2")->count == 2);
  CHECK(parse_step("pause 1s")->pause == 1s);
}

TEST_CASE("what is no step is refused, and what was meant is told") {
  const std::pair<const char*, const char*> asked[] = {
      {"7143", "did you mean \"tcp/7143\"?"},
      {"7143:udp", "did you mean \"udp/7143\"?"},
      {"7143/tcp", "did you mean \"tcp/7143\"?"},
      {"TCP/7143", "did you mean \"tcp/7143\"?"},
      {"tcp:7143", "did you mean \"tcp/7143\"?"},
      {"tcp/7143x5", "did you mean \"tcp/7143 x5\"?"},
      {"tcp/7143 * 5", "did you mean \"tcp/7143 x5\"?"},
      {"tcp/7143:syn,fin", "did you mean \"tcp/7143:syn+fin\"?"},
      {"tcp/7143:SYN|FIN", "did you mean \"tcp/7143:syn+fin\"?"},
      {"wait 1s", "did you mean \"pause 1s\"?"},
      {"pause 1", "did you mean \"pause 1s\"?"},
      {"pause 2 s", "did you mean \"pause 2s\"?"},
      {"ping", "did you mean \"icmp\"?"},
      {"icmpv6", "did you mean \"icmp6\"?"},
      {"icmp/42", "did you mean \"icmp/len=42\"?"},
      {"icmp:Passw0rd", "did you mean 'icmp:\"Passw0rd\"'?"},
      {"pause 1ms", "a pause takes 200ms to 1m"},
      {"tcp/7143 x99", "a repeat is x1 to x31"},
      {"tcp/7143:\"word\"", "the first packet of TCP carries no payload"},
      {"udp/5/len=3:\"abc\"", "write the word or the length"},
      {"udp/5:\"\"", "write a word of 1 to 64 bytes"},
      {"udp/5:\"open", "write a word of 1 to 64 bytes"},
      {"udp/5/len=65508", "write tcp/N or udp/N"},
      {"udp/8000:fin", "flags are of tcp alone"},
      {"icmp len=42", "did you mean \"icmp/len=42\"?"},
      {"udp/7143/len = 42", "did you mean \"udp/7143/len=42\"?"},
      {"tcp/7143:synfin", "flags are some of fin syn"},
      {"tcp/0", "write tcp/N or udp/N"},
      {"", "write tcp/N or udp/N"},
  };
  for (const auto& [text, advice] : asked) {
    CAPTURE(text);
    CHECK_FALSE(parse_step(text));
    CHECK(step_advice(text).find(advice) != std::string::npos);
  }
}

TEST_CASE("a repeat is as many steps, a pause belongs to the step behind it") {
  const auto door = parse("knock = [\"tcp/7143 x5\", \"pause 1s\", \"udp/9443 x2\"]\n").config->doors[0];
  REQUIRE(door.knock.size() == 7);
  CHECK(door.knock[4] == Step{{{Protocol::tcp, 7143}}, 0s});
  CHECK(door.knock[5] == Step{{{Protocol::udp, 9443}}, 1s});
  CHECK(door.knock[6].pause == 0s);
  CHECK(first("knock = [\"pause 1s\", \"tcp/1\"]\n").find("begins with a pause") != std::string::npos);
  CHECK(first("knock = [\"tcp/1\", \"pause 1s\"]\n").find("ends with a pause") != std::string::npos);
  CHECK(first("knock = [\"tcp/1\", \"pause 1s\", \"pause 1s\", \"tcp/2\"]\n").find("two pauses in a row") !=
        std::string::npos);
  CHECK(first("knock = [\"tcp/1 x31\", \"tcp/2\"]\n").find("has 32 steps") != std::string::npos);
  CHECK(first("knock = [\"tcp/1\", \"pause 10s\", \"tcp/2\"]\n").find("the pauses take 10s, within is 10s") !=
        std::string::npos);
}

TEST_CASE("in any order: six steps at most, no pause, none twice") {
  CHECK(parse("order = \"any\"\nknock = [\"tcp/7143\", \"udp/9443\"]\n").config->doors[0].any_order);
  for (const char* knock : {"[\"tcp/7143\", \"tcp/7143\"]", "[\"tcp/7143\", \"pause 1s\", \"tcp/9443\"]",
                            "[\"udp/1\", \"udp/2\", \"udp/3\", \"udp/4\", \"udp/5\", \"udp/6\", \"udp/7\"]"})
    CHECK(first(std::string("order = \"any\"\nknock = ") + knock + "\n")
              .find("order = \"any\" does not go with") != std::string::npos);
}

TEST_CASE(
    "a closing knock that the knock sends with it is refused, and the other way round; its reverse is not") {
  const auto closing = [](const char* steps, const char* more = "") {
    return first(std::string("knock = [\"tcp/7143\", \"udp/9443\", \"tcp/24021\"]\nclose_knock = ") + steps +
                 "\n" + "strays = 12\n" + more);
  };
  CHECK(closing("[\"tcp/24021\", \"udp/9443\", \"tcp/7143\"]").find("close_knock") == std::string::npos);
  CHECK(closing("[\"udp/9443\", \"tcp/24021\"]").find("the door would close at once") != std::string::npos);
  CHECK(closing("[\"udp/1\", \"tcp/7143\", \"udp/9443\", \"tcp/24021\"]").find("the door would open") !=
        std::string::npos);
  CHECK(closing("[\"tcp/7143\", \"udp/1\"]").find("begins like knock") != std::string::npos);
  CHECK(closing("[\"udp/9443\", \"tcp/7143\", \"tcp/24021\"]").find("come swapped is close_knock") !=
        std::string::npos);
  CHECK(closing("[\"udp/9443\", \"tcp/7143\", \"tcp/24021\"]", "reorder = \"0s\"\n").find("swapped") ==
        std::string::npos);
  CHECK(closing("[\"tcp/24021\", \"udp/9443\"]", "order = \"any\"\n").find("the door would close at once") !=
        std::string::npos);
  CHECK(first("close_knock = [\"tcp/7143\"]\n").find("close_knock needs knock") != std::string::npos);
}

TEST_CASE("the service's own port as a step is refused with what to do") {
  CHECK(first("knock = [\"tcp/7143\", \"tcp/80\"]\n")
            .find("tcp/80 is guarded by door x (k.toml:1:7); leave it out: the port opens with the step "
                  "before it") != std::string::npos);
}

TEST_CASE("bits: ports, what swaps and any order take, what pauses, flags, lengths and words add") {
  CHECK(strength("knock = [\"tcp/1\", \"udp/2\", \"tcp/3\", \"udp/4\"]\n").bits() ==
        doctest::Approx(61.68).epsilon(0.001));
  CHECK(strength("knock = [\"tcp/1\", \"udp/2\"]\nreorder = \"0s\"\n").bits() == doctest::Approx(32));
  CHECK(strength("knock = [\"tcp/1 x5\"]\nreorder = \"0s\"\n").bits() ==
        doctest::Approx(16)); // one secret, told five times
  CHECK(strength("knock = [\"tcp/1\", \"udp/2\", \"tcp/3\"]\norder = \"any\"\n").any_order ==
        doctest::Approx(2.585).epsilon(0.001));
  CHECK(strength("knock = [\"tcp/1\", \"pause 1s\", \"tcp/2\"]\n").rhythm ==
        doctest::Approx(3.48).epsilon(0.01));
  CHECK(strength("knock = [\"tcp/1\", \"pause 1s\", \"tcp/2\"]\n").reorder == 0);
  CHECK(strength("knock = [\"icmp\"]\n").bits() == 0);
  CHECK(strength("knock = [\"icmp x3\"]\n").bits() == 0); // swaps take no more than there is
  CHECK(strength("knock = ['icmp:\"Passw0rd\"']\n").bits() == doctest::Approx(37.1).epsilon(0.01));
  CHECK(strength("knock = [\"udp/9/len=42\"]\n").bits() == doctest::Approx(26.5).epsilon(0.01));
  CHECK(strength("knock = ['icmp:\"a\"']\n").bits() == 0); // one packet tries all of them
  for (const char* filling : {"()*+,-./01234567", "abcdefghijklmnop", "uvwabcdefghijk", "xxxxxxxxxxxxxxxx"})
    CHECK(strength(std::string("knock = ['icmp:\"") + filling + "\"']\n").bits() == 0); // every ping holds it
}
