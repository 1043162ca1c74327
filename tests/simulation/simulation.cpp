// SPDX-License-Identifier: GPL-2.0-or-later
#include "simulation.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "devices.hpp"
#include "digest.hpp"

namespace knock::simulation {
namespace {

using Kind = Event::Kind;

constexpr std::size_t kMostRounds = 120; // that follow each other at once

/// The world, the keeper in it, and the book.
class Player {
 public:
  Player(const History& history, bool tell) : tell_(tell), files_{history.embed, history.signs} {
    straw_.now = Instant{Seconds{1'000}};
    straw_.resizes = history.resizes;
    straw_.embed = history.embed;
    if (history.embed) straw_.load_admins();
    straw_.disk.config = files_.text(history.config);
    Ceilings known; // who has no clock was heard of before
    for (std::uint32_t at = 0; at < kDevices; ++at)
      if (sender(at).counter) known.keys[sender(at).keys.kid] = {};
    if (history.signs) straw_.disk.ceilings = encode_ceilings(known);
    straw_.connections.here = own_address();
  }
  void play(const Event& event);
  [[nodiscard]] const Laws& laws() const { return laws_; }
  [[nodiscard]] Played played() const { return {laws_.broken(), 0, rounds_, digest_.value()}; }

 private:
  void start();
  void pass(Instant until);
  void round();
  void rounds();
  void one_round();
  void knock(std::string_view door, const Address& source, RecordKind kind = RecordKind::knock);
  void request(std::string verb, std::map<std::string, std::string, std::less<>> values = {});
  void reload(const Event& event);
  void packet(const Event& event);
  void again(const Event& event);
  void forge(const Event& event);
  void edit_users(const Event& event);
  void set_clock(std::uint32_t which);
  Kn1Record packet_of(const Event& event);
  void hear(const Kn1Record& record);
  void send(const Address& source, std::uint16_t source_port, Port port, bool syn);
  void use_connection(const Event& event);
  void fault(const Event& event);
  void disturb(const Foreign& foreign);
  void exit();
  void kill();
  void save();
  [[nodiscard]] bool is_off() const { return machine_->state().kept.memory.off_since.has_value(); }

  /// What the files say: doors in one of their ways, users in another.
  struct Files {
    bool embed = false, signs = false;
    std::uint32_t config = 0, users = 0;
    std::shared_ptr<const ParsedConfig> text(std::uint32_t of_doors) {
      config = of_doors;
      return signs ? files(embed, config, users) : configs(embed)[config];
    }
  };

  bool tell_;
  Files files_;
  Straw straw_;
  Laws laws_;
  Digest digest_;
  std::unique_ptr<keeper::Machine> machine_;
  keeper::Heard pending_; ///< what the next round hears beside the kernel
  std::optional<Instant> next_;
  std::uint64_t last_ticket_ = 0;
  std::size_t rounds_ = 0;
  std::vector<Kn1Record> sent_; // signed packets
  std::uint64_t stamps_ = 0;    // how many were made; and the counter of who has no clock
};

void Player::start() {
  if (machine_ || !straw_.disk.config->config) return; // a daemon does not start with a bad config
  straw_.start();
  pending_ = {};
  pending_.own = std::set<Address>{own_address()};
  const auto& config = *straw_.disk.config->config;
  machine_ = std::make_unique<keeper::Machine>(keeper::Machine::Start{
      "knockgate.toml", std::make_shared<const Config>(config), straw_.boot, straw_.disk.config->texts, {}});
  rounds();
}

void Player::one_round() {
  auto heard = std::exchange(pending_, {});
  straw_.hear(heard);
  laws_.hear(heard, machine_->config(), is_off(), machine_->is_started(), straw_);
  const auto ask = machine_->ask(std::move(heard));
  if (ask.memory && !machine_->is_started()) { // it adopts what is there now
    laws_.disturbed(straw_, false);
    laws_.started(straw_, machine_->config());
  }
  const bool blinded = straw_.faults.look != 0;
  const auto& steps = machine_->decide(straw_.look(ask));
  if (blinded && straw_.faults.look == 0) laws_.blind(straw_.now);
  const auto outcome = straw_.carry_out(steps);
  digest_.add(steps);
  ++rounds_;
  laws_.disturbed(straw_, !straw_.killed());
  laws_.act(steps, outcome, straw_, straw_.killed());
  if (straw_.killed()) return kill();
  if (tell_ && outcome.error)
    std::printf("      step %zu of %zu fails: %s\n", outcome.done, steps.size(),
                to_string(*outcome.error).c_str());
  auto said = machine_->settle(outcome);
  digest_.add(said);
  if (tell_)
    for (const auto& line : said.lines) std::printf("      %s\n", line.text.c_str());
  laws_.say(said, machine_->config(), straw_);
  for (const auto& run : said.runs)
    pending_.ran.push_back({run.ticket, run.ticket % 3 == 2
                                            ? std::optional(Error{"no runner", ECONNREFUSED, ""})
                                            : std::nullopt});
  next_ = said.next;
  if (said.failed) exit();
}

/// A start that failed: the daemon ends.
void Player::exit() {
  laws_.act({}, {}, straw_, true);
  kill();
}

/// Until nothing is left to do at once.
void Player::rounds() {
  for (std::size_t count = 0; machine_; ++count) {
    if (count == kMostRounds) return laws_.breach("rest", "the rounds do not come to rest");
    one_round();
    const bool more = !pending_.ran.empty() || (next_ && *next_ <= straw_.now) ||
                      !straw_.bindings.events.empty() || straw_.bindings.overran ||
                      !straw_.connections.events.empty();
    if (!more) break;
  }
  if (!machine_) return;
  std::uint64_t refused = 0;
  for (const auto& [reason, count] : machine_->state().tally.refused) refused += count;
  const auto& work = machine_->state().work;
  laws_.count(refused, !work.completed.empty() || !work.kn1.empty() || !work.jobs.empty(), straw_.now);
  laws_.rest(machine_->config(), is_off(), straw_,
             [&] { return keeper::status_of(machine_->state(), {}, straw_.now, straw_.wall()).grants; });
}

void Player::round() {
  if (machine_) rounds();
}

void Player::pass(Instant until) {
  while (machine_ && next_ && *next_ <= until && !laws_.broken()) {
    straw_.now = std::max(straw_.now, *next_);
    rounds();
  }
  straw_.now = until;
}

void Player::knock(std::string_view door, const Address& source, RecordKind kind) {
  if (!machine_ || !straw_.bindings.engine) return;
  pending_.completed.push_back({kind, kind == RecordKind::scan ? DoorId{} : door_id(door), source, 0});
}

void Player::request(std::string verb, std::map<std::string, std::string, std::less<>> values) {
  if (machine_)
    pending_.asked.push_back({++last_ticket_, {std::move(verb), std::move(values)}, Right::root, 0});
}

void Player::reload(const Event& event) {
  straw_.disk.config = files_.text(event.a);
  if (event.b == 0) return request("reload");
  if (event.b == 2) return request("reload", {{"now", "1"}});
  request("reload", {{"confirm", fmt::format("{}s", event.c)}});
}

Kn1Record Player::packet_of(const Event& event) {
  const auto& from = sender(event.a);
  const auto words = packet_words(event.c);
  const auto& door = kDoors[event.b];
  Asks asks{door, kn1::Op::open, {}, Seconds{words.ttl}};
  if (words.op == 0 && (door == "run" || door == "bare")) asks.op = kn1::Op::run;
  if (words.op == 1) asks.op = kn1::Op::refresh;
  if (words.op == 2) asks.op = kn1::Op::close;
  if (!words.unbound) asks.src = words.elsewhere ? sources().back() : home_of(event.a);
  const auto now = static_cast<std::int64_t>(straw_.clock().now);
  const auto stamp = from.counter ? 0 : now - words.age * std::int64_t{1'000'000'000};
  return sealed(from, asks, static_cast<std::uint64_t>(stamp) + ++stamps_, home_of(event.a));
}

void Player::hear(const Kn1Record& record) {
  if (machine_ && straw_.bindings.engine) pending_.kn1.push_back(record);
}

void Player::packet(const Event& event) {
  sent_.push_back(packet_of(event));
  hear(sent_.back());
}

/// A copy of another address: of what is bound to none, it would be the one that opens.
void Player::again(const Event& event) {
  if (event.a >= sent_.size()) return;
  auto record = sent_[sent_.size() - 1 - event.a];
  const bool unbound = record.head.kid == sender(2).keys.kid;
  if (event.b != 0 && !unbound) record.source = home_of(event.b - 1);
  hear(record);
}

/// Of a device that signs, without its key: another door, another client, another time, another device.
void Player::forge(const Event& event) {
  auto record = packet_of(event);
  if (sender(event.a).keys.mode != kn1::Mode::signed_key) return;
  const auto at = event.c / 4 % 8;
  switch (event.c % 4) {
  case 0: record.plain.bytes[at] ^= 1U; break;
  case 1: record.head.e[at] ^= 1U; break;
  case 2: record.head.kid = sender(event.a == 0 ? 3 : 0).keys.kid; break;
  default: record.plain.bytes[record.plain.size - 1 - at] ^= 1U; break;
  }
  laws_.forged(record);
  hear(record);
}

void Player::edit_users(const Event& event) {
  files_.users = event.a;
  straw_.disk.config = files_.text(files_.config);
  if (event.b != 0) request("users-read");
}

void Player::set_clock(std::uint32_t which) {
  constexpr std::array<std::int64_t, kClocks> kAhead{0, 0, 3'600, -3'600, -600};
  laws_.clock_set(straw_);
  straw_.clock_good = which != 1;
  if (which != 1) straw_.clock_ahead = kAhead.at(which);
}

void Player::send(const Address& source, std::uint16_t source_port, Port port, bool syn) {
  const auto around = masked(source, source.family == Family::ipv4 ? 24 : 64);
  const std::array keys{GrantKey{source, port, GrantSet::uses}, GrantKey{source, port, GrantSet::open},
                        GrantKey{around, port, GrantSet::net}};
  const auto packets = [&](const GrantKey& key) {
    const auto* placed = straw_.table ? straw_.table->find(key, straw_.now) : nullptr;
    return placed == nullptr ? 0U : placed->traffic.packets;
  };
  const std::array before{packets(keys[0]), packets(keys[1]), packets(keys[2])};
  const auto tracked = straw_.connections.last_id;
  if (!straw_.packet(source, source_port, port, syn)) return;
  std::optional<GrantKey> counted;
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (packets(keys[i]) != before[i]) counted = keys[i];
  laws_.let_in(source, port,
               {.by_use = counted && counted->set == GrantSet::uses,
                .counted = counted,
                .began = straw_.connections.last_id != tracked,
                .heard = straw_.connections.listening},
               straw_.now);
}

void Player::use_connection(const Event& event) {
  const auto& alive = straw_.connections.alive;
  if (alive.empty()) return;
  const auto flow = alive[event.a % alive.size()].flow;
  if (event.kind == Kind::answer) straw_.connections.answer(flow.source, flow.source_port, flow.port);
  if (event.kind == Kind::end) {
    straw_.connections.end(flow.source, flow.source_port, flow.port);
    laws_.ended(flow);
  }
  if (event.kind == Kind::data) send(flow.source, flow.source_port, flow.port, false);
}

void Player::disturb(const Foreign& foreign) {
  straw_.disturb(foreign);
  if (foreign.kind == Foreign::Kind::add_element) laws_.added(foreign.element, straw_);
  laws_.disturbed(straw_, machine_ != nullptr);
}

void Player::fault(const Event& event) {
  switch (event.kind) {
  case Kind::meanwhile:
    if (static_cast<Foreign::Kind>(event.a) == Foreign::Kind::add_element) return;
    straw_.faults.meanwhile.emplace_back(event.c, foreign_of(event, straw_.now));
    break;
  case Kind::lose:
    if (event.b != 0) disturb(foreign_of({Kind::disturb, true, event.b - 1, event.c, 0}, straw_.now));
    straw_.lose_events(event.a != 1, event.a != 0);
    if (straw_.bindings.listens) laws_.lost_events(event.a != 1, event.a != 0);
    break;
  case Kind::fail: straw_.faults.fail[event.a] = static_cast<int>(event.b); break;
  case Kind::fail_look: straw_.faults.look = static_cast<int>(event.a); break;
  case Kind::disk_full: straw_.disk.error = ENOSPC; break;
  case Kind::deaf: straw_.faults.deaf = true; break;
  case Kind::kill_after: straw_.faults.kill_after = event.a; break;
  default: break;
  }
}

void Player::kill() {
  if (!straw_.killed()) straw_.kill();
  machine_.reset();
  pending_ = {};
  next_.reset();
}

void Player::save() {
  if (!machine_ || is_off() || straw_.embed) return;
  auto sets = static_sets_of(machine_->config());
  std::erase_if(sets.guarded, [&](const Guarded& one) {
    return machine_->state().kept.memory.unconfirmed.contains(one.port);
  });
  straw_.disk.saved = {std::make_shared<const Config>(machine_->config()), std::move(sets)};
}

void Player::play(const Event& event) {
  if (tell_)
    std::printf("%9.3f %s\n", std::chrono::duration<double>(straw_.now.time_since_epoch()).count(),
                to_string(event).c_str());
  const auto& source = sources()[event.b % sources().size()];
  switch (event.kind) {
  case Kind::pass: pass(straw_.now + Millis{event.a}); return;
  case Kind::stall:
    laws_.stalled(straw_.now);
    straw_.now += Millis{event.a};
    break;
  case Kind::knock: knock(kDoors[event.a], source); break;
  case Kind::closing: knock(kDoors[event.a], source, RecordKind::closing); break;
  case Kind::scan: knock({}, source, RecordKind::scan); break;
  case Kind::stranger:
    knock(event.a == 0 ? "nowhere" : "ssh", event.a == 1   ? own_address()
                                            : event.a == 2 ? *parse_address("127.0.0.1")
                                                           : source);
    break;
  case Kind::open:
    if (event.c == 0)
      request("open", {{"door", std::string(kDoors[event.a])}, {"source", knock::to_string(source)}});
    else
      request("open", {{"door", std::string(kDoors[event.a])},
                       {"source", knock::to_string(source)},
                       {"for", fmt::format("{}s", event.c)}});
    break;
  case Kind::close: {
    std::map<std::string, std::string, std::less<>> values;
    if (event.a == 2)
      values["all"] = "1";
    else
      values["what"] = event.a == 0 ? std::string(door_text(event.b)) : std::to_string(event.b);
    if (event.c != 0) values["source"] = knock::to_string(sources()[event.c - 1]);
    request("close", std::move(values));
    break;
  }
  case Kind::reload: reload(event); break;
  case Kind::edit: straw_.disk.config = files_.text(event.a); break;
  case Kind::confirm:
    if (event.a == 1)
      request("confirm", {{"anyway", "1"}});
    else
      request("confirm");
    break;
  case Kind::off: request("off"); break;
  case Kind::on: request("on", {{"at", std::to_string(straw_.stamp() - event.a)}}); break;
  case Kind::status: request("status"); break;
  case Kind::save: save(); break;
  case Kind::syn:
    send(sources()[event.a % sources().size()], static_cast<std::uint16_t>(40'000 + event.c), kPorts[event.b],
         true);
    break;
  case Kind::answer:
  case Kind::data:
  case Kind::end: use_connection(event); break;
  case Kind::disturb: disturb(foreign_of(event, straw_.now)); break;
  case Kind::off_alone:
    if (event.a == 0)
      disturb({Foreign::Kind::off_alone, event.b, {}});
    else if (machine_)
      straw_.faults.meanwhile.emplace_back(event.a - 1, Foreign{Foreign::Kind::off_alone, event.b, {}});
    break;
  case Kind::list: straw_.list(); break;
  case Kind::kill:
    if (machine_) laws_.act({}, {}, straw_, true);
    kill();
    return;
  case Kind::start: start(); return;
  case Kind::reboot:
    kill();
    straw_.reboot();
    straw_.now = Instant{Seconds{10}};
    laws_.rebooted();
    return;
  case Kind::packet: packet(event); break;
  case Kind::again: again(event); break;
  case Kind::forged: forge(event); break;
  case Kind::users: edit_users(event); break;
  case Kind::clock: set_clock(event.a); break;
  default: fault(event); break;
  }
  if (event.wakes) round();
}

} // namespace

Played play(const History& history, bool tell) {
  Player player(history, tell);
  player.play({Kind::start, true, 0, 0, 0});
  std::size_t at = 0;
  for (; at < history.events.size() && !player.laws().broken(); ++at) player.play(history.events[at]);
  auto played = player.played();
  played.events = at;
  return played;
}

History shortened(const History& history, const std::string& law) {
  const auto fails = [&](const History& shorter) {
    const auto played = play(shorter);
    return played.broken && played.broken->law == law;
  };
  auto best = history;
  best.events.resize(std::min(best.events.size(), play(history).events));
  for (auto chunk = std::max<std::size_t>(best.events.size() / 2, 1);;
       chunk = std::max<std::size_t>(chunk / 2, 1)) {
    bool less = false;
    for (std::size_t end = best.events.size(); end > 0;) {
      const auto begin = end > chunk ? end - chunk : 0;
      auto shorter = best;
      shorter.events.erase(shorter.events.begin() + static_cast<std::ptrdiff_t>(begin),
                           shorter.events.begin() + static_cast<std::ptrdiff_t>(end));
      if (fails(shorter)) {
        best = std::move(shorter);
        less = true;
      }
      end = begin;
    }
    if (chunk == 1 && !less) return best;
  }
}

} // namespace knock::simulation
