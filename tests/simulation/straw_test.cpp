// SPDX-License-Identifier: GPL-2.0-or-later
#include "straw.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>

using namespace knock;
using namespace knock::simulation;
using namespace std::chrono_literals;

namespace {

const Port kSsh{Protocol::tcp, 22};
const Address kGuest = *parse_address("203.0.113.9");
const GrantKey kOpen{kGuest, kSsh};

Change put(GrantKey key, Millis timeout = 30s) {
  return {Change::Kind::put, key, timeout, "ssh - knock 1 2"};
}
Change remove(GrantKey key) {
  return {Change::Kind::remove, key};
}
GrantKey nth(unsigned n) {
  auto key = kOpen;
  key.source.octets[3] = static_cast<std::uint8_t>(100 + n);
  return key;
}

/// A world with a table that guards tcp/22, heard by a daemon; each grant set has `places`.
struct Ready {
  Straw straw;
  std::shared_ptr<Config> config = std::make_shared<Config>();

  explicit Ready(std::uint32_t places = 64) {
    straw.now = Instant{1000s};
    config->limits.grants = places / 2;
    config->doors.emplace_back();
    config->doors[0].opens = {kSsh};
    straw.start();
    REQUIRE(load().done == 2);
  }
  keeper::Outcome load(const Batch& grants = {}) {
    return straw.carry_out(
        {keeper::Listen{true, true}, keeper::Load{config, static_sets_of(*config), grants}});
  }
  keeper::Outcome commit(Batch batch) { return straw.carry_out({keeper::Commit{std::move(batch)}}); }
  std::vector<GrantKey> there() {
    std::vector<GrantKey> keys;
    for (const auto& element : straw.table->dump(straw.now)) keys.push_back(element.key);
    return keys;
  }
  bool knocks_in(bool syn = true) { return straw.packet(kGuest, 40'000, kSsh, syn); }
  keeper::Heard heard() {
    keeper::Heard found;
    straw.hear(found);
    return found;
  }
};

} // namespace

TEST_CASE("a guarded port is closed until an element lets its source in, and after its end again") {
  Ready world;
  CHECK_FALSE(world.knocks_in());
  REQUIRE(world.commit({put(kOpen)}).done == 1);
  CHECK(world.knocks_in());
  world.straw.now += 30s;
  CHECK_FALSE(world.straw.packet(kGuest, 40'001, kSsh, true));
  CHECK(world.there().empty());
}

TEST_CASE("a connection that was answered goes on without the element; a SYN does not, nor at a cut port") {
  Ready world;
  REQUIRE(world.commit({put(kOpen)}).done == 1);
  REQUIRE(world.knocks_in());
  world.straw.connections.answer(kGuest, 40'000, kSsh);
  REQUIRE(world.commit({remove(kOpen)}).done == 1);
  CHECK(world.knocks_in(false));
  CHECK_FALSE(world.knocks_in(true));
  world.straw.table->cut = {kSsh};
  CHECK_FALSE(world.knocks_in(false));
}

TEST_CASE("put and remove work for elements that are there and for those that are not") {
  Ready world;
  CHECK(world.commit({put(kOpen), remove(nth(1))}).done == 1);
  CHECK(world.commit({put(kOpen, 60s), put(nth(1)), remove(nth(2))}).done == 1);
  CHECK(world.there() == std::vector{kOpen, nth(1)});
  CHECK(world.straw.table->dump(world.straw.now)[0].left == 60s);
  CHECK(world.commit({remove(kOpen)}).done == 1);
  CHECK(world.there() == std::vector{nth(1)});
}

TEST_CASE("a full set refuses the batch whole and names the first that found no place") {
  Ready world(2);
  REQUIRE(world.commit({put(nth(1)), put(nth(2))}).done == 1);
  const auto refused = world.commit({put(nth(1), 90s), put(nth(3)), put(nth(4))});
  REQUIRE(refused.error);
  CHECK(refused.error->code == ENFILE);
  REQUIRE(refused.refused.size() == 1);
  CHECK(refused.refused[0].at == 1);
  CHECK(world.straw.table->dump(world.straw.now)[0].left == 30s);
  CHECK(world.commit({put(nth(1), 90s)}).done == 1);           // one that is there needs no other place
  CHECK(world.commit({remove(nth(3))}).error->code == ENFILE); // its add comes first
  CHECK(world.commit({remove(nth(2)), put(nth(3))}).error->code == ENFILE); // in one message: adds first
}

TEST_CASE("an element that ended keeps its place until the next collection, also from its own key") {
  Ready world(2);
  REQUIRE(world.commit({put(nth(1), 300ms), put(nth(2))}).done == 1);
  world.straw.now += 500ms;
  CHECK(world.there() == std::vector{nth(2)});
  CHECK(world.commit({put(nth(1))}).error->code == ENFILE);
  world.straw.now += 500ms;
  CHECK(world.commit({put(nth(1))}).done == 1);
}

TEST_CASE("without the table a commit is ENOENT, without a forward map too, and no element is named") {
  Ready world;
  GrantKey led = kOpen;
  led.set = GrantSet::forward;
  const auto lost = world.commit({put(kOpen), put(led)});
  CHECK(lost.error->code == ENOENT);
  CHECK(lost.refused.empty());
  CHECK(world.there().empty());
  world.straw.disturb({.kind = Foreign::Kind::delete_table});
  CHECK(world.commit({put(kOpen)}).error->code == ENOENT);
}

TEST_CASE("a use is spent by a connection, not by a packet of it that is sent again") {
  Ready world;
  auto change = put({kGuest, kSsh, GrantSet::uses});
  change.uses = 1;
  REQUIRE(world.commit({change}).done == 1);
  CHECK(world.knocks_in());
  CHECK(world.knocks_in());
  CHECK_FALSE(world.straw.packet(kGuest, 40'001, kSsh, true));
  CHECK(world.straw.table->dump(world.straw.now)[0].traffic.packets == 1);
}

TEST_CASE("each commit of another process is heard as one disturbance, expiry and our own are not") {
  Ready world;
  REQUIRE(world.commit({put(kOpen), put(nth(1), 1ms)}).done == 1);
  world.straw.now += 1s;
  CHECK(world.heard().disturbances.empty());
  world.straw.disturb({.kind = Foreign::Kind::delete_element});
  auto heard = world.heard().disturbances;
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].removed == std::vector{kOpen});
  CHECK_FALSE(heard[0].broken);
  world.straw.disk.saved = {world.config, static_sets_of(*world.config)};
  world.straw.disturb({.kind = Foreign::Kind::load_anew});
  world.straw.disturb({.kind = Foreign::Kind::delete_table});
  heard = world.heard().disturbances;
  REQUIRE(heard.size() == 2);
  CHECK(heard[0].broken);
  CHECK(heard[0].set_made);
  CHECK(heard[1].broken);
  CHECK_FALSE(heard[1].set_made);
}

TEST_CASE("lost events are told first; who does not listen hears nothing") {
  Ready world;
  world.straw.disturb({.kind = Foreign::Kind::unguard});
  world.straw.lose_events(true, true);
  world.straw.disturb({.kind = Foreign::Kind::delete_table});
  const auto heard = world.heard();
  REQUIRE(heard.disturbances.size() == 2);
  CHECK(heard.disturbances[0].overran);
  CHECK(heard.disturbances[1].broken);
  CHECK(heard.flows_overran);
  REQUIRE(world.load().done == 2);
  world.straw.kill();
  world.straw.disturb({.kind = Foreign::Kind::delete_table});
  CHECK(world.heard().disturbances.empty());
}

TEST_CASE("a connection that began while nobody listened is listed, and never heard") {
  Ready world;
  REQUIRE(world.straw.carry_out({keeper::Listen{true, false}}).done == 1);
  REQUIRE(world.commit({put(kOpen)}).done == 1);
  REQUIRE(world.knocks_in());
  REQUIRE(world.straw.carry_out({keeper::Listen{true, true}}).done == 1);
  REQUIRE(world.straw.packet(kGuest, 40'001, kSsh, true));
  world.straw.connections.end(kGuest, 40'000, kSsh);
  world.straw.connections.end(kGuest, 40'001, kSsh);
  const auto flows = world.heard().flows;
  REQUIRE(flows.size() == 2);
  CHECK(flows[0].kind == FlowEvent::Kind::begun);
  CHECK(flows[1].kind == FlowEvent::Kind::ended);
  CHECK(flows[1].flow.source_port == 40'001);
}

TEST_CASE("another size makes the sets anew, filled with what comes along; else elements stay") {
  Ready world;
  REQUIRE(world.commit({put(kOpen), put(nth(1))}).done == 1);
  REQUIRE(world.load({put(nth(2))}).done == 2);
  CHECK(world.there() == std::vector{kOpen, nth(1), nth(2)});
  world.config = std::make_shared<Config>(*world.config);
  world.config->limits.grants = 5;
  REQUIRE(world.load({put(nth(3))}).done == 2);
  CHECK(world.there() == std::vector{nth(3)});
}

TEST_CASE("steps stop at the first failure, and at a kill; others act between two of them") {
  Ready world;
  world.straw.disk.error = ENOSPC;
  const keeper::Remember remember{keeper::Remember::File::off, "1\n"};
  const auto failed =
      world.straw.carry_out({keeper::Commit{{put(kOpen)}}, remember, keeper::Commit{{remove(kOpen)}}});
  CHECK(failed.done == 1);
  CHECK(failed.error->code == ENOSPC);
  CHECK(world.there() == std::vector{kOpen});
  world.straw.faults.meanwhile = {{1, {.kind = Foreign::Kind::delete_table}}};
  const auto torn = world.straw.carry_out({remember, keeper::Commit{{remove(kOpen)}}});
  CHECK(torn.done == 1);
  CHECK(torn.error->code == ENOENT);
  world.straw.faults.kill_after = 1;
  CHECK(world.straw
            .carry_out({keeper::Remember{keeper::Remember::File::off, "", world.straw.disk.off}, remember})
            .done == 1);
  CHECK(world.straw.killed());
  CHECK(world.straw.disk.off.empty());
}
