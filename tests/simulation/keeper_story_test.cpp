// SPDX-License-Identifier: GPL-2.0-or-later
// Short histories of the keeper over straw: what the simulation found, one story each.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

#include "core/keeper/machine.hpp"
#include "history.hpp"

using namespace knock;
using namespace knock::simulation;
using namespace std::chrono_literals;

namespace {

const Port kSsh{Protocol::tcp, 22};
const Port kHttps{Protocol::tcp, 443};
const Port kMail{Protocol::tcp, 993};
const Port kInner{Protocol::tcp, 8443};
const Address kClient = *parse_address("203.0.113.9");
const Address kOther = *parse_address("2001:db8::8");

struct Story {
  Straw straw;
  keeper::Machine machine;
  keeper::Heard heard{};
  keeper::Said said{}; ///< of all rounds
  std::uint64_t tickets = 0;

  explicit Story(std::size_t config, bool embed = false)
      : machine(
            {"knockgate.toml", std::make_shared<const Config>(*configs(embed)[config]->config), "boot-1"}) {
    straw.now = Instant{1000s};
    straw.embed = embed;
    if (embed) straw.load_admins();
    straw.disk.config = configs(embed)[config];
    straw.start();
    rest();
    REQUIRE(machine.is_started());
  }
  void round() {
    straw.hear(heard);
    const auto ask = machine.ask(std::exchange(heard, {}));
    const auto outcome = straw.carry_out(machine.decide(straw.look(ask)));
    auto now = machine.settle(outcome);
    said.lines.insert(said.lines.end(), now.lines.begin(), now.lines.end());
    said.told.insert(said.told.end(), now.told.begin(), now.told.end());
    said.next = now.next;
  }
  /// Until nothing is due. Returns whether it ever was so.
  bool rest() {
    for (int i = 0; i < 80; ++i) {
      round();
      if ((!said.next || *said.next > straw.now) && straw.bindings.events.empty()) return true;
    }
    return false;
  }
  void knock(std::string_view door, const Address& source) {
    Completed record;
    record.door = door_id(door);
    record.source = source;
    heard.completed.push_back(record);
    rest();
  }
  void ask(std::string verb, std::map<std::string, std::string, std::less<>> values = {}) {
    heard.asked.push_back({++tickets, {std::move(verb), std::move(values)}, Right::root, 0});
    rest();
  }
  void reload(std::size_t config) {
    straw.disk.config = configs(straw.embed)[config];
    ask("reload", {{"now", "1"}});
  }
  void disturb(Foreign::Kind kind, std::size_t pick = 0) { straw.disturb({kind, pick, {}}); }
  /// Whether status has another's grant, and how long it goes on: no end, no time.
  [[nodiscard]] std::optional<StatusGrant> foreign() const {
    for (auto& one : keeper::status_of(machine.state(), {}, straw.now, 0).grants)
      if (one.via == "foreign") return one;
    return std::nullopt;
  }
  void save() {
    straw.disk.saved = {std::make_shared<const Config>(machine.config()), static_sets_of(machine.config())};
  }
  /// The next step of that kind.
  template<class Step>
  void fail(int code) {
    straw.faults.fail[keeper::Step(Step{}).index()] = code;
  }
  [[nodiscard]] const Placed* find(const Address& source, Port port, GrantSet set = GrantSet::open) const {
    return straw.table ? straw.table->find({source, port, set}, straw.now) : nullptr;
  }
  [[nodiscard]] bool says(std::string_view text) const {
    return std::any_of(said.lines.begin(), said.lines.end(),
                       [&](const keeper::Line& line) { return line.text.find(text) != line.text.npos; });
  }
};

using Kind = Foreign::Kind;

const Foreign kEndless{
    Kind::add_element, 0, {.key = {kClient, kHttps}, .timeout = Element::kEndless, .comment = "x"}};

} // namespace

TEST_CASE("a look that fails leaves the doubt: the table that was broken meanwhile is healed") {
  Story story(0);
  story.disturb(Kind::flush_rules);
  story.straw.lose_events(true, false);
  story.straw.faults.look = EPERM;
  story.rest();
  CHECK(story.straw.is_whole());
}

TEST_CASE("a boot file that took its end from a trial is noticed although its events were lost") {
  Story story(0);
  story.save();
  story.reload(4); // no door
  story.straw.disk.config = configs()[0];
  story.ask("reload", {{"confirm", "90s"}});
  story.disturb(Kind::load_over);
  story.straw.lose_events(true, false);
  story.rest();
  CHECK(story.straw.table->is_guarded(kSsh, story.straw.now));
  CHECK_FALSE(story.straw.table->is_guarded(kSsh, story.straw.now + 91s));
}

TEST_CASE("who begins to listen late looks at what was not heard") {
  Story story(4); // no door
  story.straw.faults.deaf = true;
  story.reload(0);
  story.disturb(Kind::unguard);
  story.fail<keeper::Load>(ENOMEM);
  story.reload(9);
  CHECK(story.straw.bindings.listens);
  CHECK(story.straw.table->guarded_now(story.straw.now).size() == 118);
}

TEST_CASE("behind lost events, a table of the boot file's is not ours: what was open comes back") {
  Story story(0);
  story.save();
  story.knock("ssh", kClient);
  story.disturb(Kind::load_anew);
  story.straw.lose_events(true, false);
  story.rest();
  CHECK_FALSE(story.says("reason=foreign"));
  CHECK(story.find(kClient, kSsh) != nullptr);
}

TEST_CASE("an element that is healed counts on from what it had counted") {
  Story story(0);
  story.save();
  story.knock("ssh", kClient);
  CHECK(story.straw.packet(kClient, 40'000, kSsh, true));
  story.disturb(Kind::load_over);
  story.rest();
  REQUIRE(story.find(kClient, kSsh) != nullptr);
  CHECK(story.find(kClient, kSsh)->traffic.packets == 1);
}

TEST_CASE("a grant whose counters could not be read is not given up for another") {
  Story story(5); // three grants
  story.knock("ssh", kClient);
  CHECK(story.straw.packet(kClient, 40'000, kSsh, true));
  story.knock("ssh", *parse_address("203.0.113.10"));
  story.knock("ssh", *parse_address("198.51.100.7"));
  REQUIRE(story.machine.ledger().grants().size() == 3);
  story.straw.faults.look = EPERM;
  story.knock("ssh", kOther);
  CHECK_FALSE(story.says("reason=share"));
  story.knock("ssh", kOther); // the oldest that is unused goes
  CHECK(story.says("close door=ssh source=203.0.113.10"));
  CHECK(story.find(kClient, kSsh) != nullptr);
}

TEST_CASE("while another fights us for the table, nothing is due at once between two turns") {
  Story story(0);
  story.knock("idle", kClient);
  for (int i = 0; i < 12; ++i) {
    story.disturb(Kind::delete_table);
    story.rest();
  }
  REQUIRE(story.says("two writers fight"));
  CHECK_FALSE(story.straw.is_whole());
  CHECK(story.rest()); // counters of on-idle grants are due, and there is no table
  story.straw.now += 1s;
  CHECK(story.rest());
  CHECK(story.straw.is_whole());
}

TEST_CASE("what was taken back does not come back by a heal whose first try failed") {
  Story story(0);
  story.knock("adm", kClient); // tcp/22 and tcp/443
  story.straw.disturb({Kind::delete_element, 0, {}});
  story.disturb(Kind::flush_rules);
  story.fail<keeper::Load>(ENOBUFS);
  story.round();
  CHECK_FALSE(story.says("reason=foreign")); // not before it is true
  story.rest();
  CHECK(story.straw.is_whole());
  CHECK(story.says("reason=foreign"));
  CHECK(story.find(kClient, kSsh) == nullptr);
  CHECK(story.find(kClient, {Protocol::tcp, 443}) == nullptr);
}

TEST_CASE("off, a reload is answered although the table of what it closes is gone") {
  Story story(0);
  story.knock("long", kClient);
  story.ask("off");
  story.straw.faults.meanwhile.emplace_back(99,
                                            Foreign{Kind::delete_table, 0, {}}); // behind the reload's steps
  story.reload(8);                                                               // without that door
  REQUIRE(story.said.told.size() == 2);
  CHECK(story.said.told.back().reply.failure.exit == ExitCode::done);
}

TEST_CASE(
    "off, what is told closed is gone although another set is missing: the next daemon would adopt it") {
  Story story(0, true);
  story.knock("ssh", kClient);
  story.knock("uses", kClient);
  story.ask("off");
  story.disturb(Kind::delete_set, 4); // uses4
  story.ask("close", {{"all", "1"}});
  CHECK(story.said.told.back().reply.failure.exit == ExitCode::done);
  CHECK(story.find(kClient, kSsh) == nullptr);
  story.disturb(Kind::load_over);
  story.ask("on");
  CHECK(story.straw.is_whole());
  CHECK(story.find(kClient, kSsh) == nullptr);
}

TEST_CASE("without a door, what others took back in part is gone whole although a set is missing") {
  Story story(0, true);
  story.knock("adm", kClient);         // tcp/22 and tcp/443
  story.disturb(Kind::delete_element); // tcp/22
  story.disturb(Kind::delete_set, 4);  // uses4
  story.rest();
  REQUIRE(story.find(kClient, kHttps) != nullptr);
  story.reload(4);
  CHECK(story.says("reason=foreign"));
  CHECK(story.find(kClient, kHttps) == nullptr);
}

TEST_CASE("what a knock put again behind a removal stays although the table is lost then") {
  Story story(0);
  story.knock("adm", kClient); // tcp/22 and tcp/443
  story.disturb(Kind::flush_set);
  story.straw.lose_events(true, false);
  story.straw.faults.meanwhile.emplace_back(99, Foreign{Kind::unguard, 0, {}}); // behind the commit
  story.knock("idle", kClient);                                                 // tcp/443
  CHECK(story.says("close door=adm"));
  CHECK_FALSE(story.says("close door=idle"));
  CHECK(story.find(kClient, kHttps) != nullptr);
}

TEST_CASE(
    "what others took back stays closed although the look at it failed, and a knock shares the element") {
  Story story(0);
  story.knock("long", kClient);
  story.disturb(Kind::delete_element);
  story.straw.faults.look = ENOBUFS;
  story.knock("ssh", kClient);
  CHECK(story.says("close door=long"));
  REQUIRE(story.find(kClient, kSsh) != nullptr);
  CHECK(story.find(kClient, kSsh)->ends == story.straw.now + 30s);
}

TEST_CASE("what others took back of a forward ends, although the next configuration has no forward") {
  Story story(0);
  story.knock("fwd", kClient);
  story.save();
  story.disturb(Kind::delete_element); // of open4
  story.disturb(Kind::load_over);
  story.reload(1);
  CHECK(story.says("close door=fwd"));
  const auto* led = story.find(kClient, kInner, GrantSet::forward);
  CHECK((led == nullptr || led->ends <= story.straw.now + 1s));
}

TEST_CASE("a connection that ended while the table could not come back keeps nothing open behind that") {
  constexpr Port kSmtp{Protocol::tcp, 25};
  Story story(4, true);
  CHECK(story.straw.packet(kClient, 40'000, kSmtp, true)); // nobody listens: its end will be asked for
  story.reload(0);
  story.knock("disc", kClient);
  story.straw.lose_events(false, true);
  story.rest();
  story.disturb(Kind::delete_table);
  story.rest();
  story.straw.connections.end(kClient, 40'000, kSmtp);
  story.straw.now += 40s;
  story.rest();
  story.disturb(Kind::load_over);
  story.rest();
  REQUIRE(story.find(kClient, kSmtp) != nullptr);
  CHECK(story.find(kClient, kSmtp)->ends == story.straw.now + 5s);
}

TEST_CASE("a reload that finds the table lost counts the use that came before") {
  Story story(0);
  story.knock("use2", kClient);
  CHECK(story.straw.packet(kClient, 40'000, kMail, true));
  story.disturb(Kind::delete_table);
  story.reload(0);
  CHECK_FALSE(story.straw.packet(kClient, 40'001, kMail, true));
}

TEST_CASE("an element that `on` puts anew counts on from what it had counted") {
  Story story(0);
  story.save();
  story.knock("ssh", kClient);
  story.ask("off");
  story.disturb(Kind::load_over);
  CHECK(story.straw.packet(kClient, 40'000, kSsh, true));
  story.ask("on");
  REQUIRE(story.find(kClient, kSsh) != nullptr);
  CHECK(story.find(kClient, kSsh)->traffic.packets == 1);
}

TEST_CASE("what others removed takes no place away from a knock in a set that is nearly full") {
  Story story(5); // sets of six places
  story.knock("long", kClient);
  story.knock("long", *parse_address("198.51.100.7"));
  story.knock("adm", *parse_address("203.0.113.10")); // tcp/22 and tcp/443
  story.disturb(Kind::flush_set);
  for (const auto* door : {"run", "cut"}) {
    Completed record;
    record.door = door_id(door);
    record.source = kClient;
    story.heard.completed.push_back(record);
  }
  story.knock("run", *parse_address("198.51.100.7"));
  CHECK(story.says("close door=adm"));
  CHECK(story.says("open door=cut"));
}

TEST_CASE("a use is counted although the look at its counter failed, and the table went then") {
  Story story(0);
  story.knock("use2", kClient); // once
  story.straw.faults.look = EPERM;
  CHECK(story.straw.packet(kClient, 40'000, kMail, true));
  story.round();
  story.disturb(Kind::delete_table);
  story.rest();
  CHECK_FALSE(story.straw.packet(kClient, 40'001, kMail, true));
}

TEST_CASE("a use is counted although a heal began its counter again") {
  Story story(0);
  story.knock("uses", kClient); // twice
  CHECK(story.straw.packet(kClient, 40'000, kMail, true));
  story.disturb(Kind::flush_rules);
  story.rest();
  CHECK(story.straw.packet(kClient, 40'001, kMail, true));
  story.rest();
  story.disturb(Kind::delete_table);
  story.rest();
  CHECK_FALSE(story.straw.packet(kClient, 40'002, kMail, true));
}

TEST_CASE("in the admin's own table the guard comes back although nothing was heard of the sets") {
  Story story(0, true);
  story.disturb(Kind::delete_set, 7);
  story.rest();
  story.disturb(Kind::load_over);
  story.disturb(Kind::unguard);
  story.straw.lose_events(true, false);
  story.straw.now += 2s;
  story.rest();
  CHECK(story.straw.table->guarded_now(story.straw.now).size() == 118);
  story.knock("ssh", kClient);
  CHECK(story.find(kClient, kSsh) != nullptr);
}

TEST_CASE(
    "sets of another size are noticed although their events were lost, and made anew with what is open") {
  Story story(5);
  story.save();
  story.reload(0);
  story.knock("ssh", kClient);
  story.disturb(Kind::load_anew);
  story.straw.lose_events(true, false);
  story.rest();
  CHECK(story.find(kClient, kSsh) != nullptr);
  CHECK(story.straw.table->set_of({kClient, kSsh})->size == size_of(GrantSet::open, story.machine.config()));
}

TEST_CASE("what went while it was off is told closed when it is on") {
  Story story(0);
  story.knock("ssh", kClient);
  story.ask("off");
  story.disturb(Kind::flush_set);
  story.ask("on");
  CHECK(story.says("reason=foreign"));
}

TEST_CASE("a use is counted although the events of connections were lost") {
  Story story(0);
  story.knock("use2", kClient);
  CHECK(story.straw.packet(kClient, 40'000, kMail, true));
  story.straw.lose_events(false, true);
  story.rest();
  story.disturb(Kind::delete_table);
  story.rest();
  CHECK_FALSE(story.straw.packet(kClient, 40'001, kMail, true));
}

TEST_CASE("in the admin's own table, too, a load that failed for another reason is tried again") {
  Story story(0, true);
  story.disturb(Kind::unguard);
  for (int i = 0; i < 2; ++i) { // once with elements, once without
    story.fail<keeper::Load>(EPERM);
    story.round();
  }
  story.straw.now += 1s;
  story.rest();
  CHECK(story.straw.table->is_guarded(kSsh, story.straw.now));
}

TEST_CASE("in the admin's own table the guard comes back when the sets do") {
  Story story(0, true);
  story.knock("fwd", kClient); // opens a port there
  story.disturb(Kind::delete_table);
  story.rest();
  CHECK_FALSE(story.straw.table);
  story.disturb(Kind::load_over);
  story.rest();
  CHECK(story.straw.table->is_guarded(kSsh, story.straw.now));
  CHECK(story.find(kClient, kInner) != nullptr);
}

TEST_CASE("off alone in the middle of an `on` that was typed before it holds") {
  Story story(0);
  story.ask("off");
  story.straw.faults.meanwhile.emplace_back(0, Foreign{Kind::off_alone, 1, {}});
  story.ask("on", {{"at", std::to_string(story.straw.stamp())}});
  CHECK(story.said.told.back().reply.failure.text.starts_with("root turned it off meanwhile"));
  story.rest();
  CHECK_FALSE(story.straw.disk.off.empty());
  CHECK_FALSE(story.straw.guards());
  story.ask("on", {{"at", std::to_string(story.straw.stamp())}});
  CHECK(story.straw.disk.off.empty());
  CHECK(story.straw.table->is_guarded(kSsh, story.straw.now));
}

TEST_CASE("off alone takes no grant away for good: `on` brings what is not over") {
  Story story(0);
  story.knock("long", kClient);
  story.knock("disc", kOther); // for 15 s
  story.disturb(Kind::off_alone, 1);
  story.rest();
  CHECK_FALSE(story.straw.table);
  story.straw.now += 20s;
  story.ask("on", {{"at", std::to_string(story.straw.stamp())}});
  REQUIRE(story.find(kClient, kSsh) != nullptr);
  CHECK(story.find(kClient, kSsh)->ends == story.straw.now + 580s);
  CHECK(story.find(kOther, {Protocol::tcp, 25}) == nullptr);
}

TEST_CASE("another's element without an end is shown as it stands: put anew it has one") {
  Story story(0);
  story.straw.disturb(kEndless);
  story.rest();
  REQUIRE(story.foreign());
  CHECK_FALSE(story.foreign()->left_ms);
  SUBCASE("by a knock that shares it") {
    story.knock("idle", kClient);
  }
  SUBCASE("by a heal") {
    story.disturb(Kind::delete_table);
    story.rest();
  }
  SUBCASE("by a reload that finds the table lost") {
    story.disturb(Kind::flush_rules);
    story.reload(0);
  }
  REQUIRE(story.foreign());
  REQUIRE(story.find(kClient, kHttps) != nullptr);
  CHECK(story.find(kClient, kHttps)->ends == story.straw.now + 24h * 30);
  CHECK(story.foreign()->left_ms == Millis{24h * 30}.count());
  story.ask("close", {{"all", "1"}});
  CHECK(story.find(kClient, kHttps) == nullptr);
  CHECK_FALSE(story.foreign());
}

TEST_CASE("in the admin's own table, what others put while no door was enabled is shown when one is") {
  Story story(0, true);
  story.straw.disturb(kEndless);
  story.reload(4);
  story.reload(0);
  REQUIRE(story.find(kClient, kHttps) != nullptr);
  CHECK(story.foreign());
}

TEST_CASE("what was listed while somebody was in, and is loaded later, opens nothing and guards nothing") {
  Story story(0);
  story.knock("ssh", kClient);
  story.straw.list();
  story.ask("close", {{"all", "1"}});
  SUBCASE("over what stands") {
    story.disturb(Kind::load_listed);
  }
  SUBCASE("with flush ruleset") {
    story.disturb(Kind::load_listed_anew);
  }
  story.rest();
  CHECK(story.find(kClient, kSsh) == nullptr);
  CHECK(story.straw.is_whole());
  story.ask("off");
  story.disturb(Kind::load_listed_anew);
  story.rest();
  CHECK_FALSE(story.straw.guards());
  story.disturb(Kind::off_alone, 1);
  story.disturb(Kind::load_listed);
  story.rest();
  CHECK_FALSE(story.straw.guards());
}
