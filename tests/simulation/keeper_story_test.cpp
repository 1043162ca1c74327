// SPDX-License-Identifier: GPL-2.0-or-later
// Short histories of the keeper over straw: what the simulation found, one story each.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

#include "core/keeper/machine.hpp"
#include "devices.hpp"
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

  explicit Story(std::size_t config, bool embed = false) : Story(configs(embed)[config], embed) {}
  explicit Story(const std::shared_ptr<const ParsedConfig>& files, Disk disk)
      : Story(files, false, std::move(disk)) {}
  explicit Story(const std::shared_ptr<const ParsedConfig>& files, bool embed = false, Disk disk = {})
      : machine(
            {"knockgate.toml", std::make_shared<const Config>(*files->config), "boot-1", files->texts, {}}) {
    straw.now = Instant{1000s};
    straw.embed = embed;
    if (embed) straw.load_admins();
    straw.disk = std::move(disk);
    straw.disk.config = files;
    straw.start();
    rest();
    REQUIRE(machine.is_started());
  }
  /// The daemon is killed, and begins with these files.
  void restart(const std::shared_ptr<const ParsedConfig>& files) {
    straw.kill();
    heard = {};
    machine = keeper::Machine(
        {"knockgate.toml", std::make_shared<const Config>(*files->config), "boot-1", files->texts, {}});
    straw.disk.config = files;
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
  void knock(std::string_view door, const Address& source, RecordKind kind = RecordKind::knock) {
    heard.completed.push_back({kind, door_id(door), source, 0});
    rest();
  }
  void ask(std::string verb, std::map<std::string, std::string, std::less<>> values = {}) {
    heard.asked.push_back({++tickets, {std::move(verb), std::move(values)}, Right::root, 0});
    rest();
  }
  void open(std::string_view door, const Address& source) {
    ask("open", {{"door", std::string(door)}, {"source", to_string(source)}});
  }
  /// A signed packet of its device, now.
  Kn1Record packet(std::uint32_t device, std::string_view door, kn1::Op op = kn1::Op::open) {
    const auto stamp = sender(device).counter ? 1'000 : straw.clock().now;
    return sealed(sender(device), {door, op, home_of(device), {}}, stamp + ++tickets, home_of(device));
  }
  void hear(const Kn1Record& record) {
    heard.kn1.push_back(record);
    rest();
  }
  /// `fresh`: the device whose key was made for it.
  void users(std::uint32_t way, std::string fresh = {}) {
    straw.disk.config = files(straw.embed, 0, way);
    std::map<std::string, std::string, std::less<>> values;
    if (!fresh.empty()) values["fresh"] = std::move(fresh);
    ask("users-read", std::move(values));
  }
  [[nodiscard]] std::uint64_t refused(const std::string& reason) const {
    const auto found = machine.state().tally.refused.find(reason);
    return found == machine.state().tally.refused.end() ? 0 : found->second;
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

TEST_CASE("a closing knock that finds the table gone closes what it means, before that comes back") {
  Story story(0);
  story.knock("ssh", kClient);
  story.knock("adm", kClient); // tcp/22, too
  story.knock("ssh", kOther);
  story.disturb(Kind::delete_table);
  story.straw.lose_events(true, false);
  story.knock("ssh", kClient, RecordKind::closing);
  CHECK(story.straw.is_whole());
  CHECK(story.says("close door=ssh source=203.0.113.9 "));
  CHECK_FALSE(story.says("close door=adm"));
  CHECK_FALSE(story.says("close door=ssh source=2001:db8::8 "));
  REQUIRE(story.find(kClient, kSsh) != nullptr);
  CHECK(story.find(kClient, kSsh)->comment.starts_with("adm "));
  CHECK(story.find(kOther, kSsh) != nullptr);
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
  story.open("long", kClient);
  story.ask("off");
  story.straw.faults.meanwhile.emplace_back(99,
                                            Foreign{Kind::delete_table, 0, {}}); // behind the reload's steps
  story.reload(8);                                                               // without that door
  REQUIRE(story.said.told.size() == 3);
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
  story.open("long", kClient);
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
  story.open("long", kClient);
  story.open("long", *parse_address("198.51.100.7"));
  story.knock("adm", *parse_address("203.0.113.10")); // tcp/22 and tcp/443
  story.disturb(Kind::flush_set);
  for (const auto* door : {"run", "cut"}) {
    Record record;
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
  story.open("long", kClient);
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

TEST_CASE("a signed packet is on disk as spent before it opens; what cannot be written opens nothing") {
  Story story(files(false, 0, 0));
  story.straw.now += 40s; // beyond what devices had sent before
  const auto lost = story.packet(0, "ssh"), kept = story.packet(0, "ssh");
  story.fail<keeper::Mark>(EIO);
  story.heard.kn1.push_back(lost);
  story.round();
  CHECK(story.find(home_of(0), kSsh) == nullptr);
  CHECK(story.refused("kn1_state") == 1);
  CHECK(story.says("no signed packet is accepted"));
  story.hear(kept); // while it is not known that it can be written again
  CHECK(story.refused("kn1_state") == 2);
  story.straw.now += 2s;
  story.rest();
  story.hear(lost); // spent, whatever became of it
  CHECK(story.refused("kn1_replay") == 1);
  story.straw.faults.kill_after = 1; // of Mark and Commit
  story.heard.kn1.push_back(kept);
  story.straw.hear(story.heard);
  const auto ask = story.machine.ask(std::exchange(story.heard, {}));
  const auto& steps = story.machine.decide(story.straw.look(ask));
  CHECK(keeper::place_of<keeper::Mark>(steps) < keeper::place_of<keeper::Commit>(steps));
}

TEST_CASE(
    "a counter without a clock opens by each number once, also behind a reboot, and not without its file") {
  Story story(files(false, 0, 2));
  story.users(0, "bob/box"); // its key was made just now: no number of it was ever heard
  const auto first = story.packet(3, "ssh"), second = story.packet(3, "ssh");
  story.hear(second);
  CHECK(story.find(home_of(3), kSsh) != nullptr);
  story.hear(first); // exact: a copy
  CHECK(story.refused("kn1_floor") == 1);
  const auto opens_behind_reboot = [&](const Disk& disk) {
    Story next(files(false, 0, 0), disk);
    next.hear(second);
    CHECK(next.find(home_of(3), kSsh) == nullptr);
    next.tickets = story.tickets;
    next.hear(next.packet(3, "ssh"));
    return next.find(home_of(3), kSsh) != nullptr;
  };
  Disk disk;
  disk.ceilings = story.straw.disk.ceilings;
  CHECK(opens_behind_reboot(disk));
  CHECK_FALSE(opens_behind_reboot({})); // nothing is known of it
}

TEST_CASE("of a file of users.d that is bad the last good text counts; of one that is gone nothing does") {
  Story story(files(false, 0, 0));
  story.straw.now += 40s;
  story.users(6); // ann's phone cannot be read
  CHECK(story.says("users: users.d/ann.phone.toml:1:"));
  story.hear(story.packet(1, "idle"));
  CHECK(story.find(home_of(1), kHttps) != nullptr);
  story.users(1);
  CHECK(story.find(home_of(1), kHttps) == nullptr);
  CHECK(story.says("reason=revoked"));
  story.hear(story.packet(1, "idle"));
  CHECK(story.refused("kn1_kid") == 1);
}

TEST_CASE("in the admin's own table, users change while a set of it is missing: answered, and closed when it "
          "is back") {
  Story story(files(true, 0, 0), true);
  story.straw.now += 40s;
  story.hear(story.packet(0, "ssh"));
  REQUIRE(story.find(home_of(0), kSsh) != nullptr);
  story.disturb(Kind::delete_set, 1);
  story.rest();
  story.users(5);
  REQUIRE(story.said.told.size() == 1);
  CHECK(story.said.told.back().reply.failure.exit == ExitCode::done);
  story.knock("ssh", kClient);
  CHECK(story.says("No such file or directory"));
  CHECK(story.find(home_of(0), kSsh) != nullptr);
  story.disturb(Kind::load_over);
  story.rest();
  CHECK(story.find(home_of(0), kSsh) == nullptr);
}

TEST_CASE("a device whose file comes back has the floor of all; one whose key was made just now has none") {
  Story story(files(false, 0, 1));
  const auto captured = story.packet(1, "idle");
  story.straw.now += 40s;
  story.users(0);
  story.hear(captured);
  CHECK(story.find(home_of(1), kHttps) == nullptr);
  CHECK(story.refused("kn1_floor") == 1);
  story.users(1);
  story.users(0, "ann/phone"); // it has its line still
  story.hear(captured);
  CHECK(story.refused("kn1_floor") == 2);
  Story other(files(false, 0, 1));
  other.users(0, "ann/phone");
  other.hear(other.packet(1, "idle"));
  CHECK(other.find(home_of(1), kHttps) != nullptr);
}

TEST_CASE("what was accepted, and cannot be read, is not forgotten: nothing is accepted, and nothing written "
          "over it") {
  Disk disk;
  disk.ceilings = encode_ceilings({});
  disk.ceilings_error = EACCES;
  Story story(files(false, 0, 0), disk);
  story.straw.now += 40s;
  story.hear(story.packet(0, "ssh"));
  CHECK(story.find(home_of(0), kSsh) == nullptr);
  CHECK(story.refused("kn1_state") == 1);
  CHECK(story.straw.disk.ceilings == disk.ceilings);
  const auto status = keeper::status_of(story.machine.state(), {}, story.straw.now, 0);
  CHECK(std::any_of(status.warnings.begin(), status.warnings.end(),
                    [](const auto& warning) { return warning.code == "kn1-state"; }));
}

TEST_CASE("since when the clock is good in this boot is known behind a crash, whatever the clock is then") {
  Story story(files(false, 0, 0));
  const auto since = story.straw.stamps->good_since;
  CHECK(since != 0);
  for (const bool good : {false, true}) {
    story.straw.now += 60s;
    story.straw.clock_good = good;
    story.restart(files(false, 0, 0));
    CHECK(story.straw.stamps->good_since == since);
  }
}

TEST_CASE("what must be on disk before a packet opens is tried until it is there") {
  const auto& kid = sender(3).keys.kid;
  Disk disk;
  disk.ceilings = encode_ceilings({.keys = {{kid, {}}}});
  Story story(files(false, 0, 0), disk);
  story.straw.disk.error = ENOSPC;
  story.heard.kn1.push_back(story.packet(3, "ssh"));
  story.round();
  CHECK(story.find(home_of(3), kSsh) == nullptr);
  CHECK(parse_ceilings(story.straw.disk.ceilings)->keys.at(kid).stamp == 0);
  story.straw.now += 2s;
  story.straw.disk.error = ENOSPC; // once more
  story.round();
  story.heard.kn1.push_back(story.packet(3, "ssh"));
  story.round();
  CHECK(story.find(home_of(3), kSsh) == nullptr);
  story.straw.now += 2s;
  story.rest();
  story.hear(story.packet(3, "ssh"));
  REQUIRE(story.find(home_of(3), kSsh) != nullptr);
  CHECK(parse_ceilings(story.straw.disk.ceilings)->keys.at(kid).stamp != 0);
}

TEST_CASE("what a boot would not know is not accepted: a full disk keeps signed packets out, not knocks") {
  Story story(files(false, 0, 0));
  story.straw.now += 40s;
  story.straw.disk.error = ENOSPC; // of the ceilings, behind the opening
  story.heard.kn1.push_back(story.packet(0, "ssh"));
  story.round();
  CHECK(story.find(home_of(0), kSsh) != nullptr);
  story.heard.kn1.push_back(story.packet(2, "ssh"));
  story.round();
  CHECK(story.find(home_of(2), kSsh) == nullptr);
  CHECK(story.refused("kn1_state") == 1);
  story.knock("ssh", kClient);
  CHECK(story.find(kClient, kSsh) != nullptr);
  story.straw.now += 2s;
  story.rest();
  story.hear(story.packet(2, "ssh"));
  CHECK(story.find(home_of(2), kSsh) != nullptr);
}

TEST_CASE("what a boot has to know of signed packets is written while another file waits for the disk") {
  Disk disk;
  disk.ceilings = encode_ceilings({.keys = {{sender(1).keys.kid, {}}, {sender(3).keys.kid, {}}}});
  Story story(files(false, 0, 0), disk);
  story.straw.now += 40s;
  story.straw.disk.error = ENOSPC; // of the configuration applied last
  story.restart(files(false, 0, 1));
  const auto packet = story.packet(0, "ssh");
  story.hear(packet);
  CHECK(story.find(home_of(0), kSsh) != nullptr);
  CHECK(story.machine.state().kept.error);
  CHECK(parse_ceilings(story.straw.disk.ceilings)->router > packet.head.ts);
}

TEST_CASE("a trial that was asked for before root turned it off alone is refused") {
  Story story(0);
  story.straw.disk.config = configs(false)[1];
  story.heard.completed.push_back({RecordKind::knock, door_id("ssh"), kClient, 0});
  story.heard.asked.push_back({++story.tickets, {"reload", {{"confirm", "24s"}}}, Right::root, 0});
  story.round(); // it waits for the knock
  story.disturb(Kind::off_alone, 1);
  story.rest();
  REQUIRE(story.said.told.size() == 1);
  CHECK(story.said.told.back().reply.failure.exit == ExitCode::failed);
  CHECK(story.machine.state().kept.memory.off_since);
  story.ask("on", {{"at", std::to_string(story.straw.stamp())}});
  CHECK(story.straw.guards());
}

TEST_CASE("what a device opened by a key ends with the key") {
  Story story(files(false, 0, 0));
  story.straw.now += 40s;
  story.hear(story.packet(0, "ssh"));
  story.hear(story.packet(2, "ssh"));
  REQUIRE(story.find(home_of(0), kSsh) != nullptr);
  auto texts = files(false, 0, 0)->texts;
  for (auto& text : texts) // ann's laptop is another
    if (const auto at = text.text.find("0a0a0a0a0a0a0a0a"); at != text.text.npos) text.text[at] = '1';
  const auto rotated = std::make_shared<const ParsedConfig>(parse_config(texts));
  REQUIRE(rotated->config);
  SUBCASE("while we run") {
    story.straw.disk.config = rotated;
    story.ask("users-read");
  }
  SUBCASE("while we do not") {
    story.restart(rotated);
  }
  SUBCASE("while we do not, and nothing is known of what was applied last") {
    story.straw.disk.last_good.clear();
    story.restart(rotated);
  }
  CHECK(story.find(home_of(0), kSsh) == nullptr);
  CHECK(story.find(home_of(2), kSsh) != nullptr);
  CHECK(story.says("by=ann/laptop via=kn1"));
  story.restart(rotated);
  CHECK(story.find(home_of(2), kSsh) != nullptr);
}

TEST_CASE("an opening that comes to nothing is not used up, and one that waits is used up once") {
  Story story(files(false, 0, 0));
  story.straw.now += 40s;
  const auto& kid = sender(1).keys.kid;
  const auto used = [&] { return parse_ceilings(story.straw.disk.ceilings)->keys.at(kid).openings; };
  story.fail<keeper::Commit>(EPERM);
  story.hear(story.packet(1, "idle"));
  CHECK(story.find(home_of(1), kHttps) == nullptr);
  CHECK(used() == 0);
  CHECK(story.says("refused by=ann/phone source=" + to_string(home_of(1)) + " reason=kernel door=idle"));
  story.fail<keeper::Commit>(ENOENT); // it waits for the table
  story.hear(story.packet(1, "idle"));
  CHECK(story.find(home_of(1), kHttps) != nullptr);
  CHECK(used() == 1);
  CHECK(story.machine.state().tally.kn1_accepted == 1);
}

TEST_CASE("a device whose openings are not known any more opens nothing; one that never had a number does") {
  Story story(files(false, 0, 0));
  story.straw.now += 40s;
  story.hear(story.packet(1, "idle"));
  CHECK(story.find(home_of(1), kHttps) != nullptr);
  auto disk = story.straw.disk;
  SUBCASE("the file is there") {}
  SUBCASE("it is gone") {
    disk.ceilings.clear();
  }
  SUBCASE("it is not ours") {
    disk.ceilings = "knockgate kn1 ceiling 1\nrouter";
  }
  SUBCASE("nothing ever ran there") {
    disk.ceilings.clear();
    disk.last_good.clear();
  }
  const bool known = !disk.ceilings.empty() && disk.ceilings.back() == '\n';
  const bool first = disk.last_good.empty();
  Story next(files(false, 0, 0), disk);
  next.straw.now = story.straw.now + 10min;
  next.hear(next.packet(1, "idle"));
  CHECK((next.find(home_of(1), kHttps) != nullptr) == (known || first));
  CHECK(next.refused("kn1_state") == (known || first ? 0U : 1U));
  for (const auto& user : keeper::users_of(next.machine.state()))
    for (const auto& device : user.devices)
      if (device.device == "ann/phone") CHECK((device.state == "count lost") == !(known || first));
  CHECK(next.says("lacks the openings of 1 key") == !(known || first));
  next.hear(next.packet(2, "idle"));
  CHECK(next.find(home_of(2), kHttps) != nullptr);
}

TEST_CASE("each door that a device opens over both families, one right behind the other, is one opening") {
  Story story(files(false, 0, 0));
  story.straw.now += 40s;
  for (const auto* source : {"203.0.113.7", "2001:db8:7::7"})
    for (const auto* door : {"ssh", "idle"}) {
      const auto from = *parse_address(source);
      story.hear(sealed(sender(1), {door, kn1::Op::open, from, {}}, story.straw.clock().now + ++story.tickets,
                        from));
    }
  CHECK(story.machine.state().ledger.grants().size() == 4);
  CHECK(parse_ceilings(story.straw.disk.ceilings)->keys.at(sender(1).keys.kid).openings == 2);
}
