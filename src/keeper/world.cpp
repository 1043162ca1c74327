// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/world.hpp"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include <knock/last_good.hpp>

#include "core/keeper/memory.hpp"
#include "netlink/sock_diag.hpp"
#include "system/files.hpp"
#include "system/log.hpp"
#include "system/memory.hpp"
#include "system/process.hpp"

namespace knock::keeper {
namespace {

constexpr Millis kTakenFor{500};            // a killed process lets go of its sockets in less
constexpr std::size_t kLargeCommit = 1'024; // elements; the messages of so many overrun no buffer yet

/// Of the connections of this host, the keys of their `session` elements; sorted.
Result<std::vector<GrantKey>> session_keys() {
  const auto connections = netlink::open_connections();
  if (!connections) return tl::unexpected(connections.error());
  std::vector<GrantKey> keys;
  for (const auto& flow : *connections)
    keys.push_back({flow.source, flow.port, GrantSet::session, flow.source_port});
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

std::string file_of(const std::string& directory, Remember::File file) {
  switch (file) {
  case Remember::File::off: return directory + "/off";
  case Remember::File::unconfirmed: return directory + "/unconfirmed";
  case Remember::File::ceilings: return directory + "/kn1.ceiling";
  case Remember::File::last_good: break;
  }
  return directory + "/applied";
}

/// The engine of a daemon that was killed a moment ago may not have let go yet.
Result<netlink::NflogGroups> bind_patiently(const Bind& step) {
  const auto patience = system::monotonic_now() + (step.patient ? kTakenFor : Millis{0});
  for (;; system::pause(Millis{10})) {
    auto groups = netlink::NflogGroups::open(step.first_group, step.buffer_bytes);
    if (groups || groups.error().code != EPERM || system::monotonic_now() >= patience) return groups;
  }
}

/// Likewise: of one that ends just now.
Result<system::Fd> lock_patiently(const std::string& directory) {
  const auto patience = system::monotonic_now() + kTakenFor;
  for (;; system::pause(Millis{10})) {
    auto lock = system::lock_directory(directory);
    if (lock || lock.error().code != EWOULDBLOCK) return lock;
    if (system::monotonic_now() < patience) continue;
    return tl::unexpected(Error{fmt::format("another knockgated runs with the state directory {}", directory),
                                EEXIST, "stop it, or give this one another [control] state"});
  }
}

constexpr std::size_t kMaxState = 256U << 20U; // all files of a configuration, as JSON

Result<MemorySeen> recall(const std::string& directory) {
  MemorySeen memory;
  for (const auto& [file, text] : {std::pair{Remember::File::unconfirmed, &memory.unconfirmed},
                                   std::pair{Remember::File::off, &memory.off},
                                   std::pair{Remember::File::last_good, &memory.last_good}}) {
    auto read = system::read_file(file_of(directory, file), kMaxState);
    if (!read && read.error().code != ENOENT && file == Remember::File::last_good) {
      system::log_line(LogLevel::warn, to_string(read.error())); // as if none was applied
    } else if (!read && read.error().code != ENOENT) {
      read.error().advice = read.error().code == EACCES
                                ? fmt::format("sudo chown -R {} {}", system::kOurUser, directory)
                                : fmt::format("it should be a file of knockgate; sudo mv {0} {0}.bad",
                                              file_of(directory, file));
      return tl::unexpected(read.error());
    }
    *text = std::move(read).value_or("");
  }
  return memory;
}

/// On a full disk a file can be written in place where it is as long as before. Behind a boot, `applied` says then that
/// this boot has begun, whatever else it says: what is open is taken over by the next start.
void keep_boot(const std::string& directory) {
  const auto path = file_of(directory, Remember::File::last_good);
  const auto there = system::read_file(path, kMaxState);
  auto last = there ? parse_last_good(*there) : std::nullopt;
  const auto boot = system::boot_id();
  if (last && std::exchange(last->boot, boot) != boot)
    (void)system::write_in_place(path, encode_last_good(*last));
}

/// A package asks it before it goes back to a version that cannot read these files.
void say_format(const std::string& directory) {
  constexpr std::string_view kFormat = "1\n";
  const auto path = directory + "/format";
  if (system::read_file(path).value_or("") != kFormat)
    (void)system::write_file_atomically(path, kFormat, 0600);
}

/// Nothing when it cannot be read.
std::optional<std::string> off_text(const std::string& directory) {
  auto read = system::read_file(file_of(directory, Remember::File::off));
  if (!read && read.error().code != ENOENT) return std::nullopt;
  return std::move(read).value_or("");
}

} // namespace

std::vector<ConfigText> recall_last_good(const std::string& state) {
  const auto text =
      system::read_file(file_of(system::state_path(state), Remember::File::last_good), kMaxState);
  const auto last = text ? parse_last_good(*text) : std::nullopt;
  return last ? last->texts : std::vector<ConfigText>{};
}

Result<std::unique_ptr<RealWorld>> RealWorld::open(system::EventLoop& loop, std::string config_path,
                                                   ConfigPointer config, std::string state) {
  auto lock = lock_patiently(state);
  if (!lock) return tl::unexpected(lock.error());
  say_format(state);
  StampStore stamps(config->control.socket);
  auto gate = netlink::Gate::open();
  if (!gate) return tl::unexpected(gate.error());
  auto own = netlink::OwnAddresses::open();
  if (!own) return tl::unexpected(own.error());
  return std::unique_ptr<RealWorld>(
      new RealWorld(loop, std::move(config_path), std::move(config), std::move(*gate), std::move(*own),
                    StateFiles{std::move(state), std::move(*lock), std::move(stamps)}));
}

RealWorld::RealWorld(system::EventLoop& loop, std::string config_path, ConfigPointer config,
                     netlink::Gate gate, netlink::OwnAddresses own, StateFiles state)
    : loop_(loop), config_path_(std::move(config_path)), config_(std::move(config)), gate_(std::move(gate)),
      state_(std::move(state)), own_(std::move(own)) {
  own_watch_ = loop_.watch(own_.fd(), [this](Instant) {
    own_.drain();
    own_changed_ = true;
  });
}

void RealWorld::hear(Heard& heard) {
  if (std::exchange(own_changed_, false)) heard.own = own_.all();
  heard.off = off_text(state_.path);
  if (engine_) {
    auto records = engine_->take_records();
    heard.completed = std::move(records.completed);
    heard.kn1 = std::move(records.kn1);
  }
  // All that waits, before anything is put back: what others took back before it stays closed.
  if (table_) heard.disturbances = table_->source.drain(gate_.port_id());
  for (const auto& disturbance : heard.disturbances) gate_.hear(disturbance);
  if (!flows_) return;
  const auto drained = flows_->source.drain(heard.flows);
  if (!drained) return system::log_line(LogLevel::warn, to_string(drained.error()));
  heard.flows_overran = drained->overran;
}

Seen RealWorld::look(const Ask& ask) {
  Seen seen;
  if (!ask.elements.empty()) {
    auto keys = ask.elements;
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    if (auto found = gate_.find(*config_, keys))
      seen.elements = std::move(*found);
    else
      seen.elements_error = found.error();
  }
  if (ask.grants) seen.grants = gate_.grants(*config_);
  if (ask.table) seen.table = gate_.look(*config_);
  if (ask.connections) seen.connections = session_keys();
  if (ask.flows && flows_) {
    auto found = flows_->source.flows();
    if (found) std::sort(found->begin(), found->end());
    seen.flows = std::move(found);
  }
  if (flows_)
    for (const auto& flow : ask.lives)
      if (const auto lives = flows_->source.lives(flow); lives && !*lives) seen.gone.push_back(flow);
  if (ask.config) seen.config = system::load_config(config_path_);
  if (ask.memory) seen.memory = recall(state_.path);
  if (ask.stamps) seen.stamps = look_at_stamps();
  if (ask.boot_file) seen.boot_file = system::read_file(config_->nft.boot_file);
  if (ask.grants || !ask.elements.empty()) seen.at = system::monotonic_now();
  return seen;
}

Result<StampsSeen> RealWorld::look_at_stamps() const {
  auto run = state_.stamps.read();
  if (!run) return tl::unexpected(run.error());
  auto ceilings = system::read_file(file_of(state_.path, Remember::File::ceilings), kMaxState);
  StampsSeen seen{std::move(*run), {}, {}};
  if (ceilings)
    seen.ceilings = std::move(*ceilings);
  else if (ceilings.error().code != ENOENT)
    seen.ceilings_error = ceilings.error();
  return seen;
}

Outcome RealWorld::carry_out(const Steps& steps) {
  Outcome outcome;
  for (const auto& step : steps) {
    auto done = std::visit([&](const auto& one) { return carry_out(one, outcome); }, step);
    if (!done) {
      outcome.error = std::move(done.error());
      break;
    }
    ++outcome.done;
  }
  return outcome;
}

Result<void> RealWorld::carry_out(const Bind& step, Outcome&) {
  bound_.reset(); // that a start found free
  auto groups = bind_patiently(step);
  if (!groups) return tl::unexpected(groups.error());
  if (const auto difference = groups->settings_difference(); !difference.empty())
    system::log_line(LogLevel::warn, fmt::format("NFLOG is not set as asked: {}", difference));
  bound_ = std::move(*groups);
  return {};
}

Result<void> RealWorld::carry_out(const Instruct& step, Outcome&) {
  auto image = system::seal("knockgate-policy", step.policy);
  if (!image) return tl::unexpected(image.error());
  auto& groups = bound_ ? *bound_ : engine_->groups();
  if (auto set = groups.set_copy(step.copy_bytes); !set) return set;
  if (!engine_) {
    auto engine = EngineProcess::start(loop_, step.attempts, std::move(*bound_), std::move(*image));
    bound_.reset();
    if (!engine) return tl::unexpected(engine.error());
    engine_ = std::move(*engine);
    return {};
  }
  if (bound_) engine_->rebind(std::move(*bound_));
  bound_.reset();
  if (engine_->groups().buffer_bytes() != step.buffer_bytes)
    engine_->groups().resize_buffer(step.buffer_bytes);
  engine_->follow(std::move(*image));
  return {};
}

Result<void> RealWorld::carry_out(const Rekey& step, Outcome&) {
  if (!engine_) return {};
  auto keys = system::seal("knockgate-keys", step.keys);
  if (!keys) return tl::unexpected(keys.error());
  auto stamps = state_.stamps.reader();
  if (!stamps) return tl::unexpected(stamps.error());
  engine_->follow_keys(std::move(*keys), std::move(*stamps));
  return {};
}

Result<void> RealWorld::carry_out(const Mark& step, Outcome&) {
  return state_.stamps.write(step);
}

Result<void> RealWorld::carry_out(const Dismiss&, Outcome&) {
  engine_.reset();
  bound_.reset();
  return {};
}

/// What cannot be heard is no reason to stop: grants end by their time, a table comes back with the next grant.
Result<void> RealWorld::carry_out(const Listen& step, Outcome& outcome) {
  if (!step.table) table_.reset();
  if (!step.flows) flows_.reset();
  if (step.table && !table_) {
    if (auto opened = netlink::TableWatch::open(config_->nft.table, config_->nft.mode)) {
      auto watch = loop_.watch(opened->fd(), [](Instant) {});
      table_.emplace(std::move(*opened), std::move(watch));
    } else {
      outcome.deaf_table = opened.error();
    }
  }
  if (step.flows && !flows_) {
    if (auto opened = netlink::Conntrack::open()) {
      auto watch = loop_.watch(opened->fd(), [](Instant) {});
      flows_.emplace(std::move(*opened), std::move(watch));
    } else {
      outcome.deaf_flows = opened.error();
    }
  }
  return {};
}

Result<void> RealWorld::carry_out(const Remember& step, Outcome&) {
  const auto path = file_of(state_.path, step.file);
  // Root's off without the daemon stands: an `on` does not undo it, an `off` does not hide when it was.
  if (step.file == Remember::File::off)
    if (const auto text = off_text(state_.path).value_or(""); !text.empty() && text != step.over)
      return step.text.empty() ? tl::make_unexpected(off_meanwhile()) : Result<void>{};
  auto done =
      step.text.empty() ? system::remove_file(path) : system::write_file_atomically(path, step.text, 0600);
  if (done) return done;
  const int code = done.error().code;
  done.error().advice = code == ENOSPC || code == EDQUOT ? fmt::format("df -h {}", state_.path)
                                                         : fmt::format("ls -la {}", state_.path);
  keep_boot(state_.path);
  return done;
}

Result<void> RealWorld::carry_out(const Load& step, Outcome& outcome) {
  config_ = step.config;
  // The kernel builds a message of 4 KiB for each element while anything listens.
  const bool large = table_ && step.grants.size() >= kLargeCommit;
  if (large) table_->source.pause();
  auto loaded = gate_.load(*config_, step.sets, step.grants);
  if (large) table_->source.resume();
  outcome.unheard = outcome.unheard || large;
  if (!loaded) return tl::unexpected(loaded.error());
  outcome.anew = *loaded;
  return {};
}

Result<void> RealWorld::carry_out(const Unload& step, Outcome&) {
  config_ = step.config;
  auto unloaded = gate_.unload(*config_);
  // Rules that report to groups which no process holds are no other daemon's.
  if (!engine_ && !bound_ && netlink::NflogGroups::open(config_->nflog.group, config_->nflog.buffer_bytes))
    gate_.free_earlier(*config_);
  return unloaded;
}

Result<void> RealWorld::carry_out(const Commit& step, Outcome& outcome) {
  const bool large = table_ && step.batch.size() >= kLargeCommit;
  if (large) table_->source.pause();
  auto committed = gate_.commit(*config_, step.batch, &outcome.refused, step.where_there);
  if (large) table_->source.resume();
  outcome.unheard = outcome.unheard || large;
  return committed;
}

} // namespace knock::keeper
