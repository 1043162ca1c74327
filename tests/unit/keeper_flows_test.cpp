// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/flows.hpp"

#include <doctest/doctest.h>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

using Kind = FlowEvent::Kind;

Flow flow(std::uint16_t source_port, const Address& source = kClient) {
  return {source, source_port, address("192.0.2.1"), kSsh, source_port, 0};
}

/// What is said of `events`; only connections of kClient are wanted.
struct Ear {
  Flows flows;
  static bool wanted(const Address& source, Port port) { return source == kClient && port == kSsh; }

  std::vector<FlowNews> hear(Kind kind, const Flow& of) {
    std::vector<FlowNews> news;
    flows.hear({kind, of}, wanted, news);
    return news;
  }
  std::vector<FlowNews> look(const std::vector<Flow>& found, Instant now = kStart) {
    std::vector<FlowNews> news;
    flows.look(found, wanted, now, news);
    return news;
  }
  std::vector<FlowNews> ended(const Flow& of) {
    std::vector<FlowNews> news;
    flows.ended(of, news);
    return news;
  }
};

bool is(const FlowNews& news, Kind kind, bool known = false) {
  return news.event.kind == kind && news.known == known;
}

} // namespace

TEST_CASE("begin, first answer and end of a wanted connection are told once, however often they are heard") {
  Ear ear;
  for (const auto kind : {Kind::begun, Kind::answered, Kind::ended}) {
    const auto news = ear.hear(kind, flow(1));
    REQUIRE(news.size() == 1);
    CHECK(is(news[0], kind));
    if (kind != Kind::ended) CHECK(ear.look({flow(1)}).empty());
    if (kind != Kind::ended) CHECK(ear.hear(kind, flow(1)).empty());
  }
  CHECK(ear.hear(Kind::ended, flow(1)).empty());
}

TEST_CASE("a connection that no grant has to know of is never told") {
  Ear ear;
  for (const auto kind : {Kind::begun, Kind::answered, Kind::ended})
    CHECK(ear.hear(kind, flow(1, kOther)).empty());
  CHECK(ear.look({flow(1, kOther)}).empty());
  CHECK_FALSE(ear.flows.next());
}

TEST_CASE("an end without an answer tells the answer first: its first packet is sent no more") {
  Ear ear;
  (void)ear.hear(Kind::begun, flow(1));
  const auto news = ear.hear(Kind::ended, flow(1));
  REQUIRE(news.size() == 2);
  CHECK(is(news[0], Kind::answered));
  CHECK(is(news[1], Kind::ended));
}

TEST_CASE("a look takes over what is there, as known, and ends what is gone") {
  Ear ear;
  (void)ear.hear(Kind::begun, flow(1));
  (void)ear.hear(Kind::begun, flow(2));
  const auto news = ear.look({flow(2), flow(3)});
  REQUIRE(news.size() == 3);
  CHECK(is(news[0], Kind::answered));
  CHECK(is(news[1], Kind::ended));
  CHECK(news[1].event.flow == flow(1));
  CHECK(is(news[2], Kind::begun, true));
  CHECK(news[2].event.flow == flow(3));
  CHECK(ear.hear(Kind::answered, flow(3)).empty()); // it may have been answered long ago
}

TEST_CASE("only a connection that was not seen to begin is asked for, once a second, until it is over") {
  Ear ear;
  (void)ear.hear(Kind::begun, flow(1));
  CHECK_FALSE(ear.flows.next());
  (void)ear.look({flow(1), flow(2)});
  CHECK(ear.flows.next() == kStart + 1s);
  CHECK(ear.flows.silent(kStart + 999ms).empty());
  CHECK(ear.flows.silent(kStart + 1s) == std::vector{flow(2)});
  CHECK(ear.flows.silent(kStart + 1s).empty());
  CHECK(ear.flows.next() == kStart + 2s);
  CHECK(is(ear.ended(flow(2)).at(0), Kind::ended));
  CHECK(ear.flows.silent(kStart + 2s).empty());
  CHECK_FALSE(ear.flows.next());
}
