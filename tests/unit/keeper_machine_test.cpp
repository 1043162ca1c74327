// SPDX-License-Identifier: GPL-2.0-or-later
// Whole rounds, with a world by hand. What a kernel does over many of them is the simulation's.
#include "core/keeper/machine.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

/// A machine and its world: what is done is there, unless the test says otherwise.
struct Rounds {
  Machine machine;
  Instant now = kStart;
  Result<MemorySeen> files{};
  TableSeen table{};
  std::vector<Element> adopted{};                       ///< what the start finds
  std::optional<ParsedConfig> config{};                 ///< what a reload reads
  std::vector<GrantKey> gone{};                         ///< elements that a look misses
  std::optional<std::pair<std::size_t, Error>> fails{}; ///< the next list of steps, at this one
  std::vector<Refused> refused{};
  std::optional<Error> look_fails{}; ///< each look at elements
  std::optional<Error> flows_fail{}; ///< each look at connections
  Instant look_ends{};               ///< later than the round's time, where the look takes long
  std::string off{};                 ///< the state file
  std::string off_meanwhile{};       ///< what root makes of it during the next load that guards
  Ask ask{};
  Steps steps{};
  Said said{};

  explicit Rounds(const std::shared_ptr<const Config>& start)
      : machine({"knockgate.toml", start, "boot-1"}) {}

  bool is_there(const GrantKey& key) const {
    return machine.ledger().elements().contains(key) &&
           std::find(gone.begin(), gone.end(), key) == gone.end();
  }
  std::vector<Element> open() const {
    std::vector<Element> found;
    for (const auto& [key, held] : machine.ledger().elements())
      if (is_there(key)) found.push_back({key, 10s, "", {}, {}});
    return found;
  }
  Seen look() const {
    Seen seen;
    seen.at = std::max(now, look_ends);
    seen.elements_error = look_fails;
    for (const auto& key : ask.elements)
      if (!look_fails && is_there(key)) seen.elements.push_back({key, 10s, "", {}, {}});
    if (ask.grants) seen.grants = machine.is_started() ? open() : adopted;
    if (ask.table) seen.table = table;
    if (ask.connections) seen.connections = std::vector<GrantKey>{};
    if (ask.flows) {
      seen.flows = std::vector<Flow>{};
      if (flows_fail) seen.flows = tl::unexpected(*flows_fail);
    }
    if (ask.config) seen.config = config;
    if (ask.memory) seen.memory = files;
    return seen;
  }
  void done(const keeper::Step& step) {
    if (const auto* load = std::get_if<Load>(&step))
      table = {true, true, load->sets.guarded, 2 * load->config->limits.grants, false};
    if (std::holds_alternative<Unload>(step)) table = {};
    if (const auto* kept = std::get_if<Remember>(&step); kept != nullptr && kept->file == Remember::File::off)
      off = kept->text;
  }
  /// Ask and decide.
  void begin(Heard heard = {}) {
    heard.now = now;
    heard.wall = 1'790'000'000;
    heard.off = off;
    ask = machine.ask(std::move(heard));
    steps = machine.decide(look());
  }
  /// The steps, up to the one that fails.
  void end() {
    Outcome outcome;
    outcome.done = fails ? fails->first : steps.size();
    for (std::size_t i = 0; i < outcome.done; ++i) {
      done(steps[i]);
      const auto* load = std::get_if<Load>(&steps[i]);
      if (load != nullptr && !load->sets.guarded.empty() && !off_meanwhile.empty())
        off = std::exchange(off_meanwhile, {});
    }
    if (fails) outcome.error = fails->second;
    outcome.refused = std::exchange(refused, {});
    fails.reset();
    said = machine.settle(outcome);
  }
  void round(Heard heard = {}) {
    begin(std::move(heard));
    end();
  }
  /// Until nothing is due at once. Returns the rounds it took.
  int rest() {
    int rounds = 0;
    for (; said.next && *said.next <= now && rounds < 20; ++rounds) round();
    return rounds;
  }
  [[nodiscard]] const State& state() const { return machine.state(); }
  [[nodiscard]] bool has(std::string_view start) const { // a line of the log
    return std::any_of(said.lines.begin(), said.lines.end(),
                       [&](const Line& line) { return line.text.starts_with(start); });
  }
};

template<class Kind>
const Kind* step(const Steps& steps) {
  for (const auto& one : steps)
    if (const auto* found = std::get_if<Kind>(&one)) return found;
  return nullptr;
}

/// Started, and at rest.
Rounds started(const std::string& text = kSshDoor) {
  Rounds rounds(config_of(text));
  for (int i = 0; i < 10 && !rounds.machine.is_started(); ++i) rounds.round();
  REQUIRE(rounds.machine.is_started());
  (void)rounds.rest();
  return rounds;
}

Heard knocks(std::vector<Record> records) {
  Heard heard;
  heard.completed = std::move(records);
  return heard;
}
Heard asks(Asked request) {
  Heard heard;
  heard.asked = {std::move(request)};
  return heard;
}
Heard hears(Disturbance disturbance) {
  Heard heard;
  heard.disturbances = {std::move(disturbance)};
  return heard;
}

const Error kRefused{"commit: Invalid argument", EINVAL, ""};
const Error kNoBuffer{"read elements: No buffer space available", ENOBUFS, ""};
const Error kFull{"write: No space left on device", ENOSPC, ""};

std::string shown(const State& state) {
  Seen seen;
  seen.table = TableSeen{};
  std::string text;
  for (const auto& line : encode(status_of(state, seen, state.now, state.wall))) text += line + '\n';
  return text;
}

} // namespace

TEST_CASE("a start binds its groups before it touches the table, and listens before it reads what is there") {
  Rounds rounds(config_of(kSshDoor));
  rounds.begin();
  REQUIRE(step<Listen>(rounds.steps) != nullptr);
  CHECK(step<Listen>(rounds.steps)->table);
  CHECK_FALSE(rounds.ask.grants);
  rounds.end();
  rounds.begin();
  CHECK(rounds.ask.grants);
  REQUIRE(step<Load>(rounds.steps) != nullptr);
  CHECK(place_of<Bind>(rounds.steps) < place_of<Load>(rounds.steps));
  CHECK_FALSE(rounds.machine.is_started());
  rounds.end();
  (void)rounds.rest();
  CHECK(rounds.machine.is_started());
}

TEST_CASE("without a door a start changes nothing") {
  Rounds rounds(config_of(""));
  for (int i = 0; i < 4; ++i) {
    rounds.begin();
    CHECK(step<Load>(rounds.steps) == nullptr);
    CHECK(step<Bind>(rounds.steps) == nullptr);
    rounds.end();
  }
  CHECK(rounds.machine.is_started());
  CHECK_FALSE(rounds.said.next);
}

TEST_CASE("a start that fails says why, and is not started") {
  Rounds rounds(config_of(kSshDoor));
  rounds.round();
  rounds.fails = {0, Error{"bind NFLOG group 40: Device or resource busy", EBUSY, "another daemon runs"}};
  rounds.round();
  REQUIRE(rounds.said.failed);
  CHECK(rounds.said.failed->text == "bind NFLOG group 40: Device or resource busy");
  CHECK_FALSE(rounds.machine.is_started());
}

TEST_CASE("a state file that is there and cannot be read ends the start: what is off would be guarded") {
  Rounds rounds(config_of(kSshDoor));
  rounds.files = tl::unexpected(Error{"open /var/lib/knockgate/off: Permission denied", EACCES, "chown"});
  rounds.round();
  rounds.round();
  REQUIRE(rounds.said.failed);
  CHECK(rounds.said.failed->text == "open /var/lib/knockgate/off: Permission denied");
  CHECK(step<Load>(rounds.steps) == nullptr);
}

TEST_CASE("a knock is one batch, and is told when the kernel took it, not before") {
  auto rounds = started();
  rounds.begin(knocks({completed("ssh")}));
  REQUIRE(rounds.steps.size() == 1);
  REQUIRE(step<Commit>(rounds.steps) != nullptr);
  CHECK(step<Commit>(rounds.steps)->batch.at(0).key == GrantKey{kClient, kSsh});
  rounds.end();
  CHECK(rounds.has("open door=ssh source=203.0.113.9"));
  CHECK(rounds.state().tally.commits == 1);
  CHECK(rounds.said.next == kStart + 30s - 100ms);
}

TEST_CASE("what the kernel refused was never open: no line, no grant, and the hand is told the error") {
  auto rounds = started();
  rounds.fails = {0, kRefused};
  rounds.refused = {{0, EINVAL}};
  rounds.round(asks(asked(7, "open", {{"door", "ssh"}, {"source", "203.0.113.9"}})));
  CHECK(rounds.machine.ledger().grants().empty());
  CHECK_FALSE(rounds.has("open door="));
  REQUIRE(rounds.said.told.size() == 1);
  CHECK(rounds.said.told[0].reply.failure.text == kRefused.what);
  CHECK(rounds.state().tally.commits == 0);
  CHECK(rounds.state().tally.refused.at("kernel") == 1);
}

TEST_CASE("one refused element takes no other change with it: the rest is the next round's, at once") {
  auto rounds = started();
  rounds.begin(knocks({completed("ssh"), completed("ssh", kOther)}));
  const auto& batch = step<Commit>(rounds.steps)->batch;
  REQUIRE(batch.size() == 2);
  const auto other = batch[0].key.source == kOther ? 0U : 1U;
  rounds.fails = {0, kRefused};
  rounds.refused = {{other, EINVAL}};
  rounds.end();
  CHECK_FALSE(rounds.has("open door="));
  CHECK(rounds.said.next == kStart);
  rounds.begin();
  REQUIRE(step<Commit>(rounds.steps) != nullptr);
  REQUIRE(step<Commit>(rounds.steps)->batch.size() == 1);
  CHECK(step<Commit>(rounds.steps)->batch[0].key.source == kClient);
  rounds.end();
  CHECK(rounds.has("open door=ssh source=203.0.113.9"));
  CHECK(rounds.machine.ledger().grants().size() == 1);
}

TEST_CASE("a full set refuses the new one, and the one that is there is extended") {
  auto rounds = started();
  rounds.round(knocks({completed("ssh")}));
  rounds.now += 10s;
  rounds.begin(knocks({completed("ssh"), completed("ssh", address("203.0.113.10"))}));
  rounds.fails = {0, Error{"commit: Too many open files in system", ENFILE, ""}};
  rounds.refused = {{1, ENFILE}};
  rounds.end();
  (void)rounds.rest();
  REQUIRE(rounds.machine.ledger().grants().size() == 1);
  CHECK(rounds.machine.ledger().grants().begin()->second.ends == kStart + 40s);
}

TEST_CASE("a commit that finds no table drops nothing: the table comes back first, then the knock is in") {
  auto rounds = started();
  rounds.fails = {0, Error{"commit: No such file or directory", ENOENT, ""}};
  rounds.round(knocks({completed("ssh")}));
  CHECK_FALSE(rounds.has("open door="));
  CHECK(rounds.said.next == kStart);
  rounds.begin();
  CHECK(step<Load>(rounds.steps) != nullptr);
  rounds.end();
  CHECK(rounds.has("healed by="));
  (void)rounds.rest();
  CHECK(rounds.machine.ledger().elements().contains({kClient, kSsh}));
}

TEST_CASE("a table that another removed comes back with the time that is left of each grant") {
  auto rounds = started();
  rounds.round(knocks({completed("ssh")}));
  rounds.now += 12s;
  rounds.begin(hears({.broken = true, .by = "nft"}));
  const auto* load = step<Load>(rounds.steps);
  REQUIRE(load != nullptr);
  REQUIRE(load->grants.size() == 1);
  CHECK(load->grants[0].timeout == 18s);
  CHECK_FALSE(rounds.has("healed by="));
  rounds.end();
  CHECK(rounds.has("healed by=nft"));
}

TEST_CASE("an element that another removed is closed, told, and not put back") {
  auto rounds = started();
  rounds.round(knocks({completed("ssh")}));
  rounds.gone = {{kClient, kSsh}};
  rounds.round(hears({.removed = {{kClient, kSsh}}, .by = "nft"}));
  CHECK(rounds.has("close door=ssh source=203.0.113.9"));
  CHECK(rounds.machine.ledger().grants().empty());
}

TEST_CASE("an element that a look missed, and a knock puts again in the same round, was not removed") {
  auto rounds = started();
  rounds.round(knocks({completed("ssh")}));
  rounds.gone = {{kClient, kSsh}};
  auto heard = knocks({completed("ssh")});
  heard.disturbances = {{.overran = true}};
  rounds.round(std::move(heard));
  CHECK(rounds.has("extend door=ssh"));
  CHECK(rounds.state().table.removed() == 0);
}

TEST_CASE("off, a commit that finds no table is done with what is there, once it is known") {
  auto rounds = started();
  rounds.round(knocks({completed("ssh")}));
  rounds.round(asks(asked(7, "off")));
  (void)rounds.rest();
  rounds.fails = {0, Error{"commit: No such file or directory", ENOENT, ""}};
  rounds.round(asks(asked(8, "close", {{"all", "1"}})));
  CHECK_FALSE(rounds.has("close door=ssh"));
  CHECK(rounds.said.next == rounds.now);
  rounds.begin();
  REQUIRE(step<Commit>(rounds.steps) != nullptr);
  CHECK(step<Commit>(rounds.steps)->where_there);
  rounds.end();
  CHECK(rounds.has("close door=ssh"));
}

TEST_CASE("a knock that comes behind a reload waits for the configuration that it is judged by") {
  auto rounds = started();
  rounds.config = parsed(kWebDoor);
  Heard heard;
  heard.asked = {asked(7, "open", {{"door", "ssh"}, {"source", "203.0.113.9"}}),
                 asked(8, "reload", {{"now", "1"}})};
  rounds.round(std::move(heard));
  rounds.round(knocks({completed("web"), completed("ssh")}));
  (void)rounds.rest();
  CHECK(rounds.machine.ledger().elements().contains({kClient, kWeb}));
  CHECK_FALSE(rounds.machine.ledger().elements().contains({kClient, kSsh}));
  CHECK(rounds.state().tally.refused == Counts{{"unknown_door", 1}});
}

TEST_CASE("a trial is on disk before its port is guarded, and a confirmation only behind it") {
  auto rounds = started();
  rounds.config = parsed(kSshDoor + kWebDoor);
  rounds.begin(asks(asked(7, "reload", {{"confirm", "10m"}})));
  if (rounds.steps.empty()) {
    rounds.end();
    rounds.begin();
  }
  REQUIRE(step<Remember>(rounds.steps) != nullptr);
  CHECK(place_of<Remember>(rounds.steps) < place_of<Load>(rounds.steps));
  CHECK(rounds.said.told.empty());
  rounds.end();
  (void)rounds.rest();
  CHECK(rounds.state().kept.memory.unconfirmed.contains(kWeb));

  rounds.begin(asks(asked(8, "confirm", {{"anyway", "1"}})));
  REQUIRE(step<Remember>(rounds.steps) != nullptr);
  CHECK(place_of<Load>(rounds.steps) < place_of<Remember>(rounds.steps));
  rounds.end();
  (void)rounds.rest();
  CHECK(rounds.state().kept.memory.unconfirmed.empty());
}

TEST_CASE("a reload whose disk fails changes nothing, and says so to its hand") {
  auto rounds = started();
  rounds.config = parsed(kSshDoor + kWebDoor);
  const auto before = rounds.machine.config().hash;
  rounds.begin(asks(asked(7, "reload", {{"confirm", "10m"}})));
  REQUIRE(step<Remember>(rounds.steps) != nullptr);
  rounds.fails = {place_of<Remember>(rounds.steps), kFull};
  rounds.end();
  REQUIRE(rounds.said.told.size() == 1);
  CHECK(rounds.said.told[0].reply.failure.text == kFull.what);
  CHECK(rounds.machine.config().hash == before);
  CHECK(rounds.state().kept.memory.unconfirmed.empty());
  CHECK(rounds.has("reload failed, the old config stays"));
  CHECK(rounds.rest() < 20);
  CHECK(rounds.table.guarded == std::vector{Guarded{kSsh, {}}});
}

TEST_CASE("a full disk keeps no knock out: what it proves is written a second later") {
  Rounds rounds(config_of(kSshDoor));
  rounds.files->unconfirmed =
      encode_unconfirmed({{kSsh, {.until = kStart + 10min, .begun = kStart, .uid = 0}}}, "boot-1");
  for (int i = 0; i < 4; ++i) rounds.round();
  REQUIRE(rounds.machine.is_started());
  (void)rounds.rest();
  rounds.round(knocks({completed("ssh")}));
  CHECK(rounds.has("open door=ssh"));
  rounds.begin(); // that it was opened is to be remembered
  REQUIRE(step<Remember>(rounds.steps) != nullptr);
  rounds.fails = {place_of<Remember>(rounds.steps), kFull};
  rounds.end();
  CHECK(rounds.has("write: No space left on device"));
  CHECK(rounds.said.next == kStart + 1s);
  rounds.begin(knocks({completed("ssh", kOther)}));
  CHECK(step<Commit>(rounds.steps) != nullptr);
  CHECK(step<Remember>(rounds.steps) == nullptr);
  rounds.end();
  rounds.now += 1s;
  rounds.begin();
  CHECK(step<Remember>(rounds.steps) != nullptr);
}

TEST_CASE("a command starts when its grant is open, and the hand hears of both at once") {
  auto rounds = started("[limits]\nper_source = 1\n" + kSshDoor +
                        door_text("run", 7'200, "opens = [\"tcp/443\"]\nrun = [\"/bin/true\"]"));
  const auto open = asked(7, "open", {{"door", "run"}, {"source", "203.0.113.9"}});
  SUBCASE("taken") {
    rounds.begin(asks(open));
    CHECK(rounds.said.runs.empty());
    rounds.end();
    REQUIRE(rounds.said.runs.size() == 1);
    CHECK(rounds.said.told.empty());
    Heard heard;
    heard.ran = {{rounds.said.runs[0].ticket, {}}};
    rounds.round(std::move(heard));
  }
  SUBCASE("refused by the kernel") {
    rounds.fails = {0, kRefused};
    rounds.refused = {{0, EINVAL}};
    rounds.round(asks(open));
    CHECK(rounds.said.runs.empty());
  }
  SUBCASE("refused by a limit") {
    rounds.round(knocks({completed("ssh")}));
    rounds.round(asks(open));
    CHECK(rounds.said.runs.empty());
    CHECK(rounds.said.told.at(0).reply.failure.text == "[limits] per_source is reached");
  }
  CHECK(rounds.said.told.size() == 1);
}

TEST_CASE("a knock that a limit refuses starts no command, and takes no start from one that opens") {
  const auto door =
      door_text("run", 7'200, "opens = [\"tcp/443\"]\nrun = [\"/bin/true\"]\nrun_close = [\"/bin/false\"]");
  auto rounds = started("[limits]\nper_source = 1\n" + kSshDoor + door);
  rounds.round(knocks({completed("ssh")}));
  rounds.round(knocks({completed("run")}));
  CHECK(rounds.said.runs.empty());
  CHECK(rounds.state().tally.refused.at("per_source") == 1);
  rounds.round(knocks({completed("run"), completed("run", kOther)}));
  REQUIRE(rounds.said.runs.size() == 1);
  CHECK(rounds.said.runs[0].request.source == "198.51.100.7");
  rounds.now += 24h;
  rounds.round();
  REQUIRE(rounds.said.runs.size() == 1);
  CHECK(rounds.said.runs[0].request.event == "close");
}

/// Doors with a closing knock: two of one port, one of a prefix, one with commands.
const std::string kClosingDoors =
    kSshDoor + close_text(7'100) +
    door_text("adm", 7'200, "opens = [\"tcp/22\", \"tcp/443\"]\nfor = \"1m\"") + close_text(7'200) +
    door_text("net", 7'300, "opens = [\"tcp/25\"]\ngrant = [\"/24\", \"/64\"]") + close_text(7'300) +
    door_text("run", 7'400, "opens = [\"tcp/993\"]\nrun = [\"/bin/true\"]\nrun_close = [\"/bin/false\"]") +
    close_text(7'400) + door_text("plain", 7'500, "opens = [\"tcp/995\"]");

/// "ssh 203.0.113.9", sorted.
std::vector<std::string> open_grants(const Rounds& rounds) {
  std::vector<std::string> found;
  for (const auto& [id, grant] : rounds.machine.ledger().grants())
    found.push_back(fmt::format("{} {}", grant.door, to_string(grant.source)));
  std::sort(found.begin(), found.end());
  return found;
}
using Texts = std::vector<std::string>;

TEST_CASE("a closing knock ends what its source holds of that door, and says why") {
  auto rounds = started(kClosingDoors);
  rounds.round(knocks({completed("ssh"), completed("adm"), completed("ssh", kOther), completed("net")}));
  rounds.round(asks(asked(7, "open", {{"door", "ssh"}, {"source", "203.0.113.9"}})));
  rounds.round(knocks({closing("ssh")}));
  CHECK(rounds.has("close door=ssh source=203.0.113.9 ports=tcp/22 by=- via=knock id=1 "));
  CHECK(rounds.has("close door=ssh source=203.0.113.9 ports=tcp/22 by=- via=hand "));
  REQUIRE(rounds.said.lines.size() == 2);
  for (const auto& line : rounds.said.lines) CHECK(line.text.ends_with(" reason=knock"));
  CHECK(rounds.said.told.empty());
  const auto* commit = step<Commit>(rounds.steps);
  REQUIRE(commit != nullptr);
  REQUIRE(commit->batch.size() == 1); // another door's grant holds it on
  CHECK(commit->batch[0].key == GrantKey{kClient, kSsh});
  CHECK(commit->batch[0].kind == Change::Kind::put);
  CHECK(commit->batch[0].comment.starts_with("adm "));
  CHECK(open_grants(rounds) == Texts{"adm 203.0.113.9", "net 203.0.113.0", "ssh 198.51.100.7"});
  rounds.round(knocks({closing("adm")}));
  CHECK(open_grants(rounds) == Texts{"net 203.0.113.0", "ssh 198.51.100.7"});
  CHECK_FALSE(rounds.is_there({kClient, kSsh}));
  rounds.round(knocks({completed("ssh")})); // and an honest knock opens again
  CHECK(rounds.is_there({kClient, kSsh}));
}

TEST_CASE(
    "a closing knock from anywhere in a prefix ends the grant that the prefix got, not the next one's") {
  auto rounds = started(kClosingDoors);
  rounds.round(knocks({completed("net"), completed("net", kOther), completed("net", address("2001:db8::9")),
                       completed("net", address("2001:db8:0:1::9"))}));
  rounds.round(knocks({closing("net", address("203.0.113.200"))}));
  CHECK(rounds.has("close door=net source=203.0.113.0/24 "));
  rounds.round(knocks({closing("net", address("2001:db8::77"))}));
  CHECK(rounds.has("close door=net source=2001:db8::/64 "));
  CHECK(open_grants(rounds) == Texts{"net 198.51.100.0", "net 2001:db8:0:1::"});
}

TEST_CASE("of a knock and a closing knock in one datagram the later counts") {
  auto rounds = started(kClosingDoors);
  rounds.round(knocks({completed("ssh"), closing("ssh")}));
  CHECK(open_grants(rounds).empty());
  REQUIRE(rounds.said.lines.size() == 2);
  CHECK(rounds.said.lines[0].text.starts_with("open door=ssh "));
  CHECK(rounds.said.lines[1].text.starts_with("close door=ssh "));
  rounds.round(knocks({closing("ssh"), completed("ssh")}));
  CHECK(open_grants(rounds) == Texts{"ssh 203.0.113.9"});
  rounds.round(knocks({closing("ssh"), completed("ssh")}));
  CHECK(rounds.said.lines.at(0).text.starts_with("close door=ssh "));
  CHECK(rounds.said.lines.at(1).text.starts_with("open door=ssh "));
  CHECK(rounds.is_there({kClient, kSsh}));
}

TEST_CASE("a closing knock that ends nothing changes nothing and says nothing") {
  auto rounds = started(kClosingDoors);
  rounds.round(knocks({completed("plain"), completed("adm"), completed("ssh", kOther)}));
  SUBCASE("nothing is open of that door") {
    rounds.round(knocks({closing("ssh")}));
    CHECK(rounds.state().tally.refused.empty());
  }
  SUBCASE("the door has none") {
    rounds.round(knocks({closing("plain")}));
    CHECK(rounds.state().tally.refused == Counts{{"unknown_door", 1}});
  }
  CHECK(rounds.steps.empty());
  CHECK(rounds.said.lines.empty());
  CHECK(rounds.said.runs.empty());
  CHECK(rounds.state().work.jobs.empty());
  CHECK(open_grants(rounds).size() == 3);
}

TEST_CASE("off, a closing knock and a scanner are not heeded, and not remembered for on") {
  auto rounds = started(kClosingDoors);
  rounds.round(knocks({completed("ssh")}));
  rounds.round(asks(asked(7, "off")));
  (void)rounds.rest();
  rounds.round(knocks({closing("ssh"), scan(kOther)}));
  CHECK(rounds.said.lines.empty());
  CHECK(rounds.state().tally.refused.empty());
  rounds.round(asks(asked(8, "on")));
  (void)rounds.rest();
  CHECK(open_grants(rounds) == Texts{"ssh 203.0.113.9"});
  rounds.round(knocks({closing("ssh")}));
  CHECK(open_grants(rounds).empty());
}

TEST_CASE("a closing knock that the kernel refuses was none, and is told; the next one closes") {
  auto rounds = started(kClosingDoors);
  rounds.round(knocks({completed("ssh")}));
  rounds.fails = {0, kRefused};
  rounds.round(knocks({closing("ssh")}));
  CHECK(open_grants(rounds) == Texts{"ssh 203.0.113.9"});
  CHECK(rounds.has(kRefused.what));
  CHECK(rounds.state().tally.refused == Counts{{"kernel", 1}});
  rounds.round(knocks({closing("ssh")}));
  CHECK(open_grants(rounds).empty());
}

TEST_CASE(
    "a door's command for the end starts behind a closing knock, and behind the one for its beginning") {
  auto rounds = started(kClosingDoors);
  const auto events = [&] {
    Texts found;
    for (const auto& run : rounds.said.runs)
      found.push_back(run.request.event + " " + run.request.argv.at(0));
    return found;
  };
  SUBCASE("later") {
    rounds.round(knocks({completed("run")}));
    CHECK(events() == Texts{"open /bin/true"});
    rounds.round(knocks({closing("run", kOther), closing("run")}));
    CHECK(events() == Texts{"close /bin/false"});
    CHECK(rounds.said.runs.at(0).request.source == "203.0.113.9");
    CHECK(rounds.said.runs.at(0).request.via == "knock");
    rounds.round(knocks({closing("run")}));
    CHECK(rounds.said.runs.empty());
  }
  SUBCASE("in the same datagram") {
    rounds.round(knocks({completed("run"), closing("run")}));
    CHECK(events() == Texts{"open /bin/true", "close /bin/false"});
  }
  SUBCASE("by hands that ask at once") {
    Heard heard;
    heard.asked = {asked(7, "open", {{"door", "run"}, {"source", "203.0.113.9"}}),
                   asked(8, "close", {{"all", "1"}})};
    rounds.round(std::move(heard));
    CHECK(events() == Texts{"open /bin/true", "close /bin/false"});
  }
}

TEST_CASE("off takes the guard away, then is remembered; knocks are not judged until on") {
  auto rounds = started();
  rounds.begin(asks(asked(7, "off")));
  REQUIRE(step<Remember>(rounds.steps) != nullptr);
  CHECK(step<Remember>(rounds.steps)->file == Remember::File::off);
  CHECK(place_of<Load>(rounds.steps) < place_of<Remember>(rounds.steps));
  rounds.end();
  (void)rounds.rest();
  CHECK(rounds.table.guarded.empty());
  rounds.begin(knocks({completed("ssh")}));
  CHECK(rounds.steps.empty());
  rounds.end();
  rounds.round(asks(asked(8, "on")));
  (void)rounds.rest();
  CHECK(rounds.table.guarded == std::vector{Guarded{kSsh, {}}});
}

/// What root's `knockctl off` does while the daemon hangs: a second and a half behind the round's time.
const std::string kOffAlone = "1790000001.500\n";
Asked on_at(std::uint64_t ticket, const std::string& at) {
  return asked(ticket, "on", {{"at", at}});
}

TEST_CASE("whatever waited while root turned it off alone guards nothing, until on") {
  auto rounds = started(kSshDoor + kWebDoor);
  rounds.config = parsed(kSshDoor + kWebDoor);
  Heard heard;
  SUBCASE("a signal") {
    heard = asks(asked(0, "reload"));
    heard.asked[0].by_signal = true;
  }
  SUBCASE("a reload") {
    heard = asks(asked(7, "reload", {{"now", "1"}}));
  }
  SUBCASE("a trial") {
    heard = asks(asked(7, "reload", {{"confirm", "10m"}}));
  }
  SUBCASE("a confirmation") {
    heard = asks(asked(7, "confirm", {{"anyway", "1"}}));
  }
  SUBCASE("on, typed before") {
    heard = asks(on_at(7, "1790000001499"));
  }
  SUBCASE("on of an earlier knockctl") {
    heard = asks(asked(7, "on"));
  }
  SUBCASE("open") {
    heard = asks(asked(7, "open", {{"door", "ssh"}, {"source", "203.0.113.9"}}));
  }
  SUBCASE("off") {
    heard = asks(asked(7, "off"));
  }
  SUBCASE("a knock") {
    heard = knocks({completed("ssh")});
  }
  SUBCASE("the table's end alone") {}
  SUBCASE("the table's end unheard") {
    heard = asks(asked(7, "reload", {{"now", "1"}}));
    rounds.table.guarded.clear();
  }
  const bool told = !heard.asked.empty() && heard.asked[0].ticket != 0;
  heard.disturbances = {{.broken = true, .by = "nft"}};
  rounds.table = {};
  rounds.off = kOffAlone;
  rounds.round(std::move(heard));
  bool answered = !rounds.said.told.empty(), said = rounds.has("off: root did so without us");
  for (int i = 0; i < 20 && rounds.said.next && *rounds.said.next <= rounds.now; ++i) {
    rounds.round();
    answered = answered || !rounds.said.told.empty();
    said = said || rounds.has("off: root did so without us");
    CHECK(rounds.table.guarded.empty());
  }
  CHECK(rounds.table.guarded.empty());
  CHECK(said);
  CHECK(answered == told);
  CHECK(rounds.state().kept.memory.off_since == 1'790'000'001);
  CHECK(rounds.machine.ledger().grants().empty());
  CHECK_FALSE(rounds.off.empty());
  rounds.round(asks(on_at(8, "1790000001499"))); // accepted in a later wake-up
  (void)rounds.rest();
  CHECK(rounds.table.guarded.empty());
  rounds.now += 1min;
  rounds.round(asks(on_at(9, "1790000000000"))); // none waits so long: whatever clocks say
  (void)rounds.rest();
  CHECK(rounds.table.guarded.size() == 2);
  CHECK(rounds.off.empty());
}

TEST_CASE("on that was typed behind an off alone guards, and removes what that left, also when nothing was "
          "heard of it") {
  auto rounds = started();
  rounds.off = kOffAlone;
  rounds.table = {};
  rounds.round(asks(on_at(7, "1790000001500")));
  (void)rounds.rest();
  CHECK(rounds.table.guarded == std::vector{Guarded{kSsh, {}}});
  CHECK(rounds.off.empty());
  rounds.round(asks(asked(8, "on")));
  REQUIRE(rounds.said.told.size() == 1);
  CHECK(text_of(rounds.said.told[0].reply.lines.at(0)) == "on already.");
}

TEST_CASE("off again, alone, is no end of off: an on that waited behind it is refused") {
  auto rounds = started();
  rounds.round(asks(asked(7, "off")));
  (void)rounds.rest();
  rounds.off = kOffAlone;
  rounds.round(asks(on_at(8, "1790000000000")));
  (void)rounds.rest();
  CHECK(rounds.table.guarded.empty());
  CHECK(rounds.off == kOffAlone);
}

TEST_CASE("what waits for the table to come back is answered that it is off") {
  auto rounds = started();
  rounds.begin(asks(asked(7, "open", {{"door", "ssh"}, {"source", "203.0.113.9"}})));
  rounds.fails = {place_of<Commit>(rounds.steps), Error{"commit: No such file", ENOENT, ""}};
  rounds.end();
  CHECK(rounds.said.told.empty());
  rounds.table = {};
  rounds.off = kOffAlone;
  rounds.round();
  REQUIRE(rounds.said.told.size() == 1);
  CHECK(rounds.said.told[0].reply.failure.text == "knockgate is off: every port is open");
  (void)rounds.rest();
  CHECK(rounds.machine.ledger().grants().empty());
}

TEST_CASE("off alone between a look and the load that follows takes away what that load guards") {
  auto rounds = started();
  rounds.config = parsed(kSshDoor + kWebDoor);
  rounds.off_meanwhile = kOffAlone;
  SUBCASE("reload") {
    rounds.round(asks(asked(7, "reload", {{"now", "1"}})));
  }
  SUBCASE("heal") {
    rounds.round(hears({.broken = true, .by = "nft"}));
  }
  CHECK_FALSE(rounds.table.guarded.empty());
  (void)rounds.rest();
  CHECK(rounds.table.guarded.empty());
  CHECK(rounds.state().kept.memory.off_since == 1'790'000'001);
}

TEST_CASE("off alone during a start holds") {
  Rounds rounds(config_of(kSshDoor));
  rounds.off_meanwhile = kOffAlone;
  rounds.round();
  for (int i = 0; i < 10 && !rounds.machine.is_started(); ++i) rounds.round();
  (void)rounds.rest();
  CHECK(rounds.machine.is_started());
  CHECK(rounds.table.guarded.empty());
}

TEST_CASE("without a door a table whose groups another process holds stays: it is another daemon's") {
  const Error held{"bind NFLOG group 60: Operation not permitted", EPERM, ""};
  const TableSeen theirs{true, true, {Guarded{kSsh, {}}}, 131'072, false, false, std::uint16_t{60}};
  SUBCASE("at the start, which fails") {
    Rounds rounds(config_of(""));
    rounds.table = theirs;
    rounds.begin();
    REQUIRE(step<Bind>(rounds.steps) != nullptr);
    CHECK(step<Bind>(rounds.steps)->first_group == 60);
    CHECK(step<Commit>(rounds.steps) == nullptr);
    rounds.fails = {0, held};
    rounds.end();
    REQUIRE(rounds.said.failed);
    CHECK(rounds.said.failed->text == held.what);
    CHECK(rounds.said.failed->exit == ExitCode::failed);
  }
  SUBCASE("when it appears: it is said once, shown, and tried when it changed again") {
    auto rounds = started("");
    int lines = 0;
    for (int i = 0; i < 3; ++i) {
      rounds.table = theirs;
      rounds.round(hears({.changed = true, .by = "knockgated"}));
      for (; rounds.said.next && *rounds.said.next <= rounds.now;
           lines += rounds.has("table inet knockgate is")) {
        rounds.begin();
        if (step<Bind>(rounds.steps) != nullptr) rounds.fails = {0, held};
        rounds.end();
      }
      CHECK_FALSE(rounds.said.next);
      CHECK(rounds.table.there);
    }
    CHECK(lines == 1);
    CHECK(shown(rounds.state()).find("cannot be taken away: table inet knockgate is another daemon's") !=
          std::string::npos);
    rounds.table = {};
    rounds.round(hears({.changed = true, .by = "knockgated"}));
    (void)rounds.rest();
    CHECK(shown(rounds.state()).find("taken away") == std::string::npos);
  }
  SUBCASE("a table that no process listens to goes, and so does our own") {
    auto rounds = started("");
    rounds.table = theirs;
    rounds.round(hears({.changed = true, .by = "nft"}));
    (void)rounds.rest();
    CHECK_FALSE(rounds.table.there);
    rounds = started();
    rounds.table.group = 40;
    rounds.config = parsed("");
    rounds.round(asks(asked(7, "reload")));
    (void)rounds.rest();
    CHECK_FALSE(rounds.table.there);
  }
}

TEST_CASE("what is done and not remembered is told: in the answer, and on status as long as it lasts") {
  auto rounds = started();
  CHECK(shown(rounds.state()).find("not remembered") == std::string::npos);
  rounds.config = parsed(kSshDoor + kWebDoor);
  rounds.config->texts = {{"knockgate.toml", "other", ConfigText::Part::main}};
  rounds.round(asks(asked(7, "reload", {{"now", "1"}})));
  CHECK(rounds.said.told.empty());
  rounds.fails = {0, kFull};
  rounds.round();
  REQUIRE(rounds.said.told.size() == 1);
  const auto& reply = rounds.said.told[0].reply;
  CHECK(reply.failure.exit == ExitCode::done);
  CHECK(std::any_of(reply.lines.begin(), reply.lines.end(), [](const std::string& line) {
    return line.find("not remembered, a restart goes by what was applied before: write: No space") !=
           std::string::npos;
  }));
  CHECK(
      shown(rounds.state()).find("not remembered, a restart goes by what was true before: write: No space") !=
      std::string::npos);
  rounds.now += 1s;
  rounds.round();
  CHECK(shown(rounds.state()).find("not remembered") == std::string::npos);
}

TEST_CASE("off on a full disk is off, says so, and is remembered as soon as there is room") {
  auto rounds = started();
  rounds.begin(asks(asked(7, "off")));
  rounds.fails = {place_of<Remember>(rounds.steps), kFull};
  rounds.end();
  CHECK(rounds.table.guarded.empty());
  rounds.round();
  REQUIRE(rounds.said.told.size() == 1);
  const auto& reply = rounds.said.told[0].reply;
  CHECK(reply.failure.exit == ExitCode::done);
  CHECK(reply.lines.at(1).find("No space left on device") != std::string::npos);
  rounds.now += 1s;
  rounds.fails = {0, kFull};
  rounds.round();
  CHECK(rounds.has("write: No space left")); // once
  rounds.now += 1s;
  rounds.fails = {0, kFull};
  rounds.round();
  CHECK_FALSE(rounds.has("write: No space left"));
  rounds.now += 1s;
  rounds.round();
  CHECK(step<Remember>(rounds.steps) != nullptr);
  rounds.round();
  CHECK(rounds.steps.empty());
}

TEST_CASE("off is remembered whatever else cannot be, and says no other thing") {
  auto rounds = started();
  rounds.config = parsed(kSshDoor + kWebDoor);
  rounds.config->texts = {{"knockgate.toml", "other", ConfigText::Part::main}};
  rounds.round(asks(asked(7, "reload", {{"now", "1"}})));
  rounds.fails = {0, kFull}; // the configuration applied last
  rounds.round();
  rounds.begin(asks(asked(8, "off")));
  CHECK(step<Remember>(rounds.steps)->file == Remember::File::off);
  rounds.fails = {place_of<Remember>(rounds.steps) + 1, kFull};
  rounds.end();
  rounds.round();
  REQUIRE(rounds.said.told.size() == 1);
  for (const auto& line : rounds.said.told[0].reply.lines)
    CHECK(line.find("a restart guards again") == std::string::npos);
}

TEST_CASE("off touches no table of another, and waits for none of the admin's") {
  auto rounds = started();
  rounds.table = {};
  rounds.begin(asks(asked(7, "off")));
  CHECK(step<Load>(rounds.steps) == nullptr);
  rounds.end();
  (void)rounds.rest();
  CHECK(rounds.state().kept.memory.off_since);
}

TEST_CASE("a change whose grants cannot be closed is answered so; off passes it, and they go in the end") {
  auto rounds = started(kSshDoor + kWebDoor);
  rounds.round(knocks({completed("ssh"), completed("web")}));
  rounds.config = parsed(kSshDoor);
  rounds.round(asks(asked(7, "reload", {{"now", "true"}})));
  CHECK(rounds.said.told.empty());
  int tries = 0;
  for (; tries < 200 && rounds.said.told.empty(); ++tries) {
    rounds.fails = {0, kRefused};
    rounds.round();
  }
  REQUIRE(rounds.said.told.size() == 1);
  CHECK(tries > 1);
  const auto& reply = rounds.said.told[0].reply;
  CHECK(reply.failure.exit == ExitCode::done); // the rules are there
  CHECK(reply.lines.back().find("stays open until this is mended: commit: Invalid argument") !=
        std::string::npos);
  CHECK(rounds.said.next == rounds.now + 1s);
  SUBCASE("tried until it is done, and then not answered again") {
    rounds.round();
    CHECK(rounds.said.told.empty());
    CHECK(rounds.has("close door=web"));
    CHECK_FALSE(rounds.state().finishing);
  }
  SUBCASE("off") {
    rounds.fails = {0, kRefused};
    rounds.round(hears({.removed = {{kClient, kSsh}}, .by = "nft"}));
    rounds.gone = {{kClient, kSsh}};
    rounds.round(asks(asked(8, "off")));
    CHECK(step<Load>(rounds.steps) != nullptr);
    (void)rounds.rest();
    CHECK(rounds.table.guarded.empty());
    CHECK(rounds.machine.ledger().grants().size() == 1);
  }
}

TEST_CASE("another's work: what ended by its time before the look was over is not told removed") {
  auto rounds = started();
  rounds.round(knocks({completed("ssh")}));
  rounds.gone = {{kClient, kSsh}};
  rounds.look_ends = kStart + 30s;
  rounds.round(hears({.by = {}, .overran = true}));
  (void)rounds.rest();
  CHECK(rounds.machine.ledger().grants().size() == 1);
  rounds.look_ends = kStart + 29s;
  rounds.round(hears({.by = {}, .overran = true}));
  (void)rounds.rest();
  CHECK(rounds.machine.ledger().grants().empty());
}

TEST_CASE("of very many elements that others removed, knocks do not wait for all") {
  auto rounds = started("[limits]\ngrants = 20000\n" +
                        door_text("ssh", 7'100, "opens = [\"tcp/22\"]\ngrants = 20000\nfor = \"30s\""));
  std::vector<Record> records;
  for (int i = 0; i < 10'000; ++i)
    records.push_back(completed("ssh", address(fmt::format("198.51.{}.{}", i / 250, 1 + i % 250))));
  rounds.round(knocks(records));
  for (const auto& [key, held] : rounds.machine.ledger().elements()) rounds.gone.push_back(key);
  auto heard = hears({.removed = rounds.gone, .by = "nft"});
  heard.completed = {completed("ssh", kOther)};
  rounds.round(std::move(heard));
  CHECK(rounds.machine.ledger().grants().size() > 5'000);
  CHECK(rounds.machine.ledger().elements().contains({kOther, kSsh}));
  REQUIRE(rounds.said.next > rounds.now); // others are heard first
  rounds.now = *rounds.said.next;
  (void)rounds.rest();
  CHECK(rounds.machine.ledger().grants().size() == 1);
}

TEST_CASE("requests that come at once are done in their order, each with its own answer") {
  auto rounds = started();
  Heard heard;
  heard.asked = {asked(1, "open", {{"door", "ssh"}, {"source", "203.0.113.9"}}),
                 asked(2, "close", {{"what", "ssh"}}), asked(3, "off"),
                 asked(4, "open", {{"door", "ssh"}, {"source", "203.0.113.9"}})};
  std::map<std::uint64_t, std::string> told;
  const auto note = [&] {
    for (const auto& [ticket, reply] : rounds.said.told)
      CHECK(told.emplace(ticket,
                         reply.failure.text.empty() ? text_of(reply.lines.at(0)).value() : reply.failure.text)
                .second);
  };
  rounds.round(std::move(heard));
  note();
  for (int i = 0; i < 10 && rounds.said.next && *rounds.said.next <= rounds.now; ++i) {
    rounds.round();
    note();
  }
  CHECK(told == std::map<std::uint64_t, std::string>{{1, "opened ssh for 203.0.113.9: 30 s left"},
                                                     {2, "1 grant closed."},
                                                     {3, "off: nothing is guarded until: sudo knockctl on"},
                                                     {4, "knockgate is off: every port is open"}});
}

TEST_CASE("what fails round after round is tried a second later in the end, not for ever at once") {
  auto rounds = started(door_text(
      "ssh", 7'100, "opens = [\"tcp/22\"]\nfor = \"30s\"\nmax = \"5m\"\nclose = \"on-disconnect\""));
  rounds.round(knocks({completed("ssh")}));
  (void)rounds.rest();
  SUBCASE("a look at elements") {
    rounds.look_fails = kNoBuffer;
    rounds.round(hears({.removed = {{kClient, kSsh}}, .by = "nft"}));
  }
  SUBCASE("a look at connections") {
    rounds.flows_fail = kNoBuffer;
    Heard heard;
    heard.flows_overran = true;
    rounds.round(std::move(heard));
  }
  CHECK(rounds.has(kNoBuffer.what));
  int at_once = 0;
  for (; at_once < 200 && rounds.said.next == rounds.now; ++at_once) {
    rounds.round();
    CHECK(rounds.said.lines.empty()); // once a minute
  }
  CHECK(at_once < 100);
  CHECK(rounds.said.next == kStart + 1s);
  CHECK(rounds.machine.ledger().elements().contains({kClient, kSsh})); // what was removed is not known
}

TEST_CASE(
    "while counters cannot be read a full door gives up no grant, and none later whose element was put anew "
    "meanwhile") {
  auto rounds =
      started(door_text("ssh", 7'100, "opens = [\"tcp/22\"]\nfor = \"30s\"\nmax = \"5m\"\ngrants = 1"));
  rounds.round(knocks({completed("ssh")}));
  const auto source = [&] {
    REQUIRE(rounds.machine.ledger().grants().size() == 1);
    return rounds.machine.ledger().grants().begin()->second.source;
  };
  rounds.look_fails = kNoBuffer;
  rounds.round(knocks({completed("ssh", kOther)}));
  CHECK(source() == kClient);
  bool anew = false;
  SUBCASE("put anew") {
    anew = true;
    rounds.now += 1s;
    rounds.round(knocks({completed("ssh")}));
    CHECK(rounds.has("extend door=ssh"));
  }
  SUBCASE("as it was") {}
  rounds.look_fails.reset();
  rounds.round(knocks({completed("ssh", kOther)}));
  CHECK(source() == (anew ? kClient : kOther));
}

TEST_CASE("status reads and changes nothing") {
  auto rounds = started();
  rounds.round(knocks({completed("ssh"), completed("gone")}));
  const auto before = shown(rounds.state());
  const auto next = rounds.said.next;
  const auto ask = ask_status(rounds.state());
  CHECK(ask.elements == keys_of(rounds.machine.ledger()));
  CHECK_FALSE(ask.config);
  Seen seen;
  seen.table = TableSeen{};
  seen.elements = {{{kClient, kSsh}, 10s, "", {3, 180}, {}}};
  const auto status = status_of(rounds.state(), seen, kStart + 5s, 1'790'000'005);
  REQUIRE(status.grants.size() == 1);
  CHECK(status.grants[0].packets == 3); // as the kernel counts now,
  CHECK(counted(rounds.machine.ledger().elements(), {kClient, kSsh}) ==
        Traffic{}); // and nothing is noted of it
  CHECK(shown(rounds.state()) == before);
  rounds.begin();
  CHECK(rounds.steps.empty());
  rounds.end();
  CHECK(rounds.said.next == next);
  CHECK(shown(rounds.state()) == before);
}

TEST_CASE("a grant was opened when it was, whenever one looks") {
  auto rounds = started();
  rounds.now += 700ms;
  rounds.round(knocks({completed("ssh")}));
  Seen seen;
  seen.table = TableSeen{};
  std::set<std::int64_t> opened;
  for (auto now = rounds.now; now < rounds.now + 3s; now += 100ms) {
    const auto wall = 1'790'000'000 + std::chrono::floor<Seconds>(now.time_since_epoch()).count();
    opened.insert(status_of(rounds.state(), seen, now, wall).grants.at(0).opened);
  }
  CHECK(opened.size() == 1);
}

TEST_CASE("ten thousand doors' sequences that one wake-up hears are one batch") {
  constexpr std::size_t kDoors = kMaxDoors;
  Config config;
  for (std::size_t i = 0; i < kDoors; ++i) {
    Door door;
    door.name = fmt::format("d{}", i);
    door.id = door_id(door.name);
    door.opens = {kSsh};
    door.grants = 64;
    const auto low = static_cast<std::uint16_t>(1'024 + i % 30'000);
    door.knock = {knock::Step{{Protocol::tcp, low}},
                  knock::Step{{Protocol::udp, static_cast<std::uint16_t>(low + i / 30'000)}}};
    config.doors.push_back(std::move(door));
  }
  Rounds rounds(std::make_shared<const Config>(std::move(config)));
  for (int i = 0; i < 10 && !rounds.machine.is_started(); ++i) rounds.round();
  REQUIRE(rounds.machine.is_started());
  (void)rounds.rest();
  std::vector<Record> records;
  for (std::size_t i = 0; i < kDoors; ++i)
    records.push_back(
        completed(fmt::format("d{}", i), address(fmt::format("198.51.{}.{}", i / 250, 1 + i % 250))));
  rounds.begin(knocks(std::move(records)));
  REQUIRE(rounds.steps.size() == 1);
  REQUIRE(step<Commit>(rounds.steps) != nullptr);
  CHECK(step<Commit>(rounds.steps)->batch.size() == kDoors);
  rounds.end();
  CHECK(rounds.machine.ledger().grants().size() == kDoors);
  CHECK(rounds.state().tally.commits == 1);
  CHECK(rounds.state().tally.refused.empty());
  CHECK(rounds.said.next > rounds.now); // no second round
}
