// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_text.hpp>
#include <knock/sent_steps.hpp>

#include <doctest/doctest.h>

using namespace knock;

namespace {

OpeningStory silent() {
  OpeningStory story;
  story.host = "router.example";
  story.door = "ssh";
  story.port = Port{Protocol::tcp, 22};
  story.timeout = Seconds{10};
  story.knocks = 8;
  story.routers = {*parse_address("203.0.113.1"), *parse_address("2001:db8:7::1")};
  story.signed_packets = story.unbound = true;
  story.user = "alice";
  return story;
}

std::vector<std::string> hints(const OpeningStory& story) {
  return nothing_opened(story, nullptr).hints;
}

const std::string kAsk = "the router is silent but knows why: sudo knockctl user show alice";

std::vector<std::string> sent(std::vector<std::string> steps, Millis spacing = kSpacing) {
  const auto found = sent_steps(steps, spacing);
  if (!found) return {to_string(found.error())};
  std::vector<std::string> texts;
  for (const auto& step : *found)
    texts.push_back(std::to_string(step.at.count()) + " " + to_string(step.kind));
  return texts;
}
using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("nothing opened: what was sent, where to, and who knows why") {
  const auto failure = nothing_opened(silent(), nullptr);
  CHECK(to_string(failure) == "nothing opened at router.example tcp/22 within 10 s (8 knocks to 203.0.113.1, "
                              "2001:db8:7::1, unbound)");
  CHECK(failure.exit == ExitCode::failed);
  CHECK(failure.hints == Texts{kAsk});
  auto knock = silent();
  knock.signed_packets = false;
  knock.user.clear();
  knock.knocks = 1;
  knock.routers.resize(1);
  CHECK(nothing_opened(knock, nullptr).text ==
        "nothing opened at router.example tcp/22 within 10 s (1 knock to 203.0.113.1)");
  CHECK(hints(knock).empty());
}

TEST_CASE("each hint stands where it applies") {
  auto story = silent();
  story.clock_is_off = true;
  CHECK(hints(story) ==
        Texts{"this clock is not synchronised; 30 s fast or 2 min slow is refused; timedatectl", kAsk});
  story = silent();
  story.waits_for_admin = true;
  CHECK(hints(story) == Texts{kAsk});
  story.ever_opened = false;
  CHECK(hints(story) == Texts{"never opened yet: has the admin run device add?", kAsk});
  story = silent();
  story.ended = Moment{Seconds{1'798'070'400}};
  CHECK(hints(story) == Texts{"your access ended 2026-12-24", kAsk});
  story = silent();
  story.rejected = Carrier{17'022};
  CHECK(hints(story) == Texts{"a firewall rejects udp/17022; try --icmp", kAsk});
  story.rejected = Carrier{};
  CHECK(hints(story) == Texts{"a firewall rejects icmp; try without --icmp", kAsk});
  story = silent();
  story.port_unreachable = true;
  CHECK(hints(story) == Texts{"the router answers (port unreachable): packets arrive", kAsk});
  story = silent();
  story.all_refused = true;
  CHECK(hints(story) == Texts{"each try was refused: shut, or nothing listens", kAsk});
  CHECK(error_line(nothing_opened(story, nullptr)).find(R"("hints":["each try was refused)") !=
        std::string::npos);
}

TEST_CASE("the other errors say what is so, and what to do") {
  CHECK(to_string(service_refuses(silent())) ==
        "ssh is open, but router.example tcp/22 refuses; does the service run?");
  const auto nameless = no_address("router.example", "Temporary failure in name resolution", "home");
  CHECK(to_string(nameless) ==
        "router.example has no address (Temporary failure in name resolution); check the "
        "network, or put an address into home.toml");
  CHECK(nameless.exit == ExitCode::unreachable);
  CHECK(to_string(no_route("router.example", {{*parse_address("203.0.113.1"), "Network is unreachable"}})) ==
        "no route to router.example (203.0.113.1: Network is unreachable)");
  const auto exposed = exposed_keys("/home/alice/.config/knockgate/home.key", 0644);
  CHECK(to_string(exposed) ==
        "home.key may be read by others (mode 0644); chmod 0600 /home/alice/.config/knockgate/home.key");
  CHECK(exposed.exit == ExitCode::denied);
}

TEST_CASE("a time is short, and true") {
  CHECK(span_text(Millis{84}) == "84 ms");
  CHECK(span_text(Millis{1'000}) == "1 s");
  CHECK(span_text(Millis{1'250}) == "1.2 s");
  CHECK(span_text(Seconds{10}) == "10 s");
}

TEST_CASE("a knock is sent step by step, as knockgate.toml or knock(1) writes it") {
  CHECK(sent({"tcp/7143", "udp/12899/len=42", "icmp:\"hi\""}) ==
        Texts{"0 tcp/7143", "100 udp/12899/len=42", "200 icmp:\"hi\""});
  CHECK(sent({"7143", "12899:udp", "4021:tcp"}, Millis{0}) ==
        Texts{"0 tcp/7143", "0 udp/12899", "0 tcp/4021"});
  CHECK(sent({"udp/9000 x3", "pause 1s", "tcp/7000"}) ==
        Texts{"0 udp/9000", "100 udp/9000", "200 udp/9000", "1300 tcp/7000"});
  CHECK(sent({"udp/9000 x2"}, Millis{0}) == Texts{"0 udp/9000", "20 udp/9000"});
}

TEST_CASE("what is no step, or needs root, is said") {
  CHECK(sent({"tcp/7143:syn+fin"})[0].find("needs a raw packet") != std::string::npos);
  CHECK(sent({"7143:sctp"})[0].find("\"7143:sctp\" is no step") == 0);
  CHECK(sent({"pause 1s"})[0].find("nothing to knock with") == 0);
}
