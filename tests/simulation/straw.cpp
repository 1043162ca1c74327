// SPDX-License-Identifier: GPL-2.0-or-later
#include "straw.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/keeper/memory.hpp"

namespace knock::simulation {
namespace {

constexpr std::int64_t kBoot = 1'790'000'000; // of the epoch; when time began

template<class T>
constexpr std::size_t kind_of = keeper::Step(T{}).index();

Error error_of(int code) {
  return code == ECANCELED ? keeper::off_meanwhile() : Error{std::strerror(code), code, ""};
}

template<class T>
Result<T> or_error(int code, T value) {
  if (code != 0) return tl::unexpected(error_of(code));
  return value;
}

} // namespace

keeper::Seen Straw::look(const keeper::Ask& ask) {
  keeper::Seen seen;
  seen.at = now;
  const bool kernel = !ask.elements.empty() || ask.grants || ask.table || ask.connections || ask.flows;
  const int error = kernel ? std::exchange(faults.look, 0) : 0;
  if (!ask.elements.empty() && error != 0) seen.elements_error = error_of(error);
  if (error == 0 && table)
    for (const auto& key : ask.elements)
      if (const auto* placed = table->find(key, now))
        seen.elements.push_back({key, placed->left(now), placed->comment, placed->traffic, placed->target});
  if (ask.grants) seen.grants = or_error(error, table ? table->dump(now) : std::vector<Element>{});
  if (ask.table) {
    TableSeen found;
    found.there = table && table->sets[Table::index_of(GrantSet::open, Family::ipv4)];
    if (table) {
      found.as_loaded = table->handle == bindings.handle && (embed || table->rules == bindings.rules_loaded);
      found.guarded = table->guarded_now(now);
      if (found.there) found.set_size = table->sets[Table::index_of(GrantSet::open, Family::ipv4)]->size;
    }
    seen.table = or_error(error, std::move(found));
  }
  if (ask.connections) seen.connections = or_error(error, connections.tcp());
  if (ask.flows) seen.flows = or_error(error, connections.flows());
  for (const auto& flow : ask.lives)
    if (!connections.lives(flow)) seen.gone.push_back(flow);
  if (ask.config) seen.config = *disk.config;
  if (ask.memory) seen.memory = keeper::MemorySeen{disk.unconfirmed, disk.off, disk.last_good};
  if (ask.stamps) seen.stamps = keeper::StampsSeen{stamps, disk.ceilings, {}};
  if (ask.stamps && disk.ceilings_error != 0)
    seen.stamps->value().ceilings_error = error_of(disk.ceilings_error);
  if (ask.boot_file) {
    if (disk.boot_file)
      seen.boot_file = *disk.boot_file;
    else
      seen.boot_file = tl::unexpected(error_of(ENOENT));
  }
  return seen;
}

keeper::Outcome Straw::carry_out(const keeper::Steps& steps) {
  keeper::Outcome outcome;
  const auto meanwhile = std::exchange(faults.meanwhile, {});
  const auto kill_after = std::exchange(faults.kill_after, std::nullopt);
  const auto disturb_before = [&](std::size_t from, std::size_t to) {
    for (const auto& [before, foreign] : meanwhile)
      if (before >= from && before < to) disturb(foreign);
  };
  for (const auto& step : steps) {
    if (kill_after && *kill_after <= outcome.done) break;
    disturb_before(outcome.done, outcome.done + 1);
    const int given = std::exchange(faults.fail[step.index()], 0);
    const int code = given != 0 ? given : act(step, outcome);
    if (code != 0) {
      outcome.error = error_of(code);
      break;
    }
    ++outcome.done;
  }
  disturb_before(outcome.done + 1, ~std::size_t{0});
  if (kill_after) kill();
  return outcome;
}

int Straw::act(const keeper::Step& step, keeper::Outcome& outcome) {
  if (const auto* bind = std::get_if<keeper::Bind>(&step)) return act(*bind);
  if (const auto* instruct = std::get_if<keeper::Instruct>(&step)) return act(*instruct);
  if (const auto* listen = std::get_if<keeper::Listen>(&step)) return act(*listen, outcome);
  if (const auto* remember = std::get_if<keeper::Remember>(&step)) return act(*remember);
  if (const auto* load = std::get_if<keeper::Load>(&step)) return act(*load, outcome);
  if (const auto* mark = std::get_if<keeper::Mark>(&step)) return act(*mark);
  if (const auto* rekey = std::get_if<keeper::Rekey>(&step)) return act(*rekey);
  if (const auto* unload = std::get_if<keeper::Unload>(&step)) return act(*unload);
  if (const auto* commit = std::get_if<keeper::Commit>(&step)) return act(*commit, outcome);
  bindings.groups.reset();
  bindings.engine = false;
  return 0;
}

int Straw::act(const keeper::Bind& bind) {
  bindings.groups = bind.first_group;
  return 0;
}

int Straw::act(const keeper::Instruct&) {
  if (!bindings.groups) return EINVAL;
  bindings.engine = true;
  return 0;
}

int Straw::act(const keeper::Listen& listen, keeper::Outcome& outcome) {
  const bool deaf = std::exchange(faults.deaf, false);
  if (listen.table && !bindings.listens && deaf) outcome.deaf_table = error_of(EPERM);
  if (listen.flows && !connections.listening && deaf) outcome.deaf_flows = error_of(EPROTONOSUPPORT);
  if (!listen.table) {
    bindings.events.clear();
    bindings.overran = false;
  }
  bindings.listens = listen.table && (bindings.listens || !deaf);
  connections.listen(listen.flows && (connections.listening || !deaf));
  return 0;
}

int Straw::act(const keeper::Remember& remember) {
  if (disk.error != 0) return std::exchange(disk.error, 0);
  using File = keeper::Remember::File;
  if (remember.file == File::off && !disk.off.empty() && disk.off != remember.over)
    return remember.text.empty() ? ECANCELED : 0; // as RealWorld
  (remember.file == File::off           ? disk.off
   : remember.file == File::unconfirmed ? disk.unconfirmed
   : remember.file == File::ceilings    ? disk.ceilings
                                        : disk.last_good) = remember.text;
  return 0;
}

int Straw::act(const keeper::Mark& mark) {
  if (!stamps) stamps.emplace();
  stamps->good_since = mark.good_since;
  for (const auto& one : mark.marks) {
    std::erase_if(stamps->marks, [&](const StampMark& other) { return other.slot == one.slot; });
    stamps->marks.push_back(one);
  }
  return 0;
}

int Straw::act(const keeper::Rekey& rekey) {
  keys = Kn1Keys::decode(rekey.keys);
  return keys ? 0 : EINVAL;
}

/// As Gate::load. libnftables names no element, and the error is EINVAL for whatever it is.
int Straw::act(const keeper::Load& load, keeper::Outcome& outcome) {
  const auto& config = *load.config;
  auto next = table.value_or(Table{});
  if (config.nft.mode == Mode::embed) {
    if (!table || !table->has_all_sets()) return ENOENT;
    next.load(config, load.sets, now, resizes);
  } else {
    const auto& open4 = next.sets[Table::index_of(GrantSet::open, Family::ipv4)];
    const bool resized = open4 && open4->size != size_of(GrantSet::open, config);
    if (resized) next = {};
    next.load(config, load.sets, now, resizes);
  }
  if (next.commit(load.grants, now).error != 0) {
    if (embed || !table) return EINVAL;
    next = {}; // over what stands it is refused: anew
    next.load(config, load.sets, now, resizes);
    if (next.commit(load.grants, now).error != 0) return EINVAL;
    outcome.anew = true;
  }
  table = std::move(next);
  if (!embed) table->handle = ++handles_;
  bindings.handle = table->handle;
  bindings.rules_loaded = table->rules;
  return 0;
}

int Straw::act(const keeper::Unload& unload) {
  if (unload.config->nft.mode == Mode::embed) {
    if (table) table->guarded.emplace();
  } else {
    table.reset();
  }
  return 0;
}

int Straw::act(const keeper::Commit& commit, keeper::Outcome& outcome) {
  if (commit.batch.size() >= kLarge && bindings.listens) outcome.unheard = true;
  auto batch = commit.batch;
  if (commit.where_there)
    std::erase_if(batch, [&](const Change& one) { return !table || table->set_of(one.key) == nullptr; });
  if (batch.empty()) return 0;
  if (!table) return ENOENT;
  auto verdict = table->commit(batch, now);
  if (commit.where_there) verdict.refused.clear();
  outcome.refused = std::move(verdict.refused);
  std::sort(outcome.refused.begin(), outcome.refused.end(),
            [](const Refused& a, const Refused& b) { return a.at < b.at; });
  return verdict.error;
}

void Straw::hear(keeper::Heard& heard) {
  heard.now = now;
  heard.wall = static_cast<std::int64_t>(clock().now / 1'000'000'000);
  heard.clock = clock();
  heard.off = disk.off;
  if (std::exchange(bindings.overran, false)) {
    heard.disturbances.emplace_back();
    heard.disturbances.back().overran = true;
  }
  for (auto& event : bindings.events) heard.disturbances.push_back(std::move(event));
  bindings.events.clear();
  heard.flows = std::exchange(connections.events, {});
  heard.flows_overran = std::exchange(connections.overran, false);
}

void Straw::tell(Disturbance found) {
  others.removed.insert(others.removed.end(), found.removed.begin(), found.removed.end());
  others.broke = others.broke || found.broken;
  others.loaded = others.loaded || found.set_made;
  if (!bindings.listens) return;
  if (!found.broken && !found.changed && found.removed.empty()) return;
  if (bindings.events.size() >= kQueue) {
    bindings.overran = true;
    return;
  }
  found.by = "nft";
  bindings.events.push_back(std::move(found));
}

/// gate.nft, chain guard.
bool Straw::packet(const Address& source, std::uint16_t source_port, Port port, bool syn) {
  const auto* flow = connections.find(source, source_port, port);
  const auto pass = [&] {
    connections.let_in(source, source_port, port, table.has_value());
    return true;
  };
  if (!table || table->rules == 0 || !table->is_guarded(port, now)) return pass();
  const auto granted = [&](const GrantKey& key) {
    auto* placed = table->find(key, now);
    if (placed == nullptr) return false;
    placed->traffic.packets += 1;
    placed->traffic.bytes += 60;
    return true;
  };
  const auto around = masked(source, source.family == Family::ipv4 ? 24 : 64);
  if (granted({source, port, GrantSet::open}) || granted({around, port, GrantSet::net})) return pass();
  if (auto* ranges = table->ranges_of(source); ranges != nullptr)
    for (auto& [key, placed] : ranges->placed)
      if (key.source == source && holds(range_of(key), port) && granted(key)) return pass();
  const bool established = flow != nullptr && flow->tracked && flow->answered;
  const bool is_cut = std::find(table->cut.begin(), table->cut.end(), port) != table->cut.end();
  if (established && !is_cut && !syn) return pass();
  if (port.protocol == Protocol::tcp && granted({source, port, GrantSet::session, source_port}) && !syn)
    return pass();
  auto* uses = table->find({source, port, GrantSet::uses}, now);
  if (uses == nullptr) return false;
  if (flow != nullptr && flow->tracked && !flow->answered) return pass(); // its packet again
  if (uses->spent >= uses->burst) return false;
  ++uses->spent;
  uses->traffic.packets += 1;
  uses->traffic.bytes += 60;
  return pass();
}

void Straw::lose_events(bool of_table, bool of_flows) {
  if (of_table && bindings.listens) {
    bindings.events.clear();
    bindings.overran = true;
  }
  if (of_flows) connections.lose_events();
}

void Straw::load_admins() {
  if (!table) table.emplace();
  if (!table->has_all_sets()) table->handle = ++handles_;
  table->load_admins();
}

bool Straw::guards() const {
  return table && table->rules != 0 && !table->guarded_now(now).empty();
}

bool Straw::is_whole() const {
  return table && (embed ? table->has_all_sets() : table->rules == bindings.rules_loaded);
}

std::int64_t Straw::wall() const {
  return kBoot + std::chrono::floor<Seconds>(now.time_since_epoch()).count();
}

WallClock Straw::clock() const {
  const auto ran = earlier_boots + std::chrono::floor<Millis>(now.time_since_epoch());
  const Millis shown = Seconds{kBoot + clock_ahead} + ran;
  return {static_cast<Stamp>(std::chrono::nanoseconds(shown).count()), clock_good};
}

std::int64_t Straw::stamp() {
  const auto ms = std::chrono::floor<Millis>(now.time_since_epoch()).count() % 1'000;
  return stamped_ = std::max(stamped_ + 1, 1'000 * wall() + ms);
}

void Straw::kill() {
  bindings = {};
  keys.reset();
  connections.listen(false);
  faults = {};
  killed_ = true;
}

void Straw::reboot() {
  stamps.reset();
  kill();
  stamped_ = 0;
  earlier_boots += std::chrono::floor<Millis>(now.time_since_epoch());
  clock_good = false;
  boot += '+';
  table.reset();
  connections.alive.clear();
  if (embed) load_admins();
}

} // namespace knock::simulation
