// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/keeper.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include <knock/policy.hpp>

#include "netlink/sock_diag.hpp"
#include "system/files.hpp"
#include "system/log.hpp"
#include "system/process.hpp"

namespace knock::keeper {
namespace {

constexpr std::size_t kMostSessions = 32'768; // half of the set; a full one would refuse the whole guard
constexpr Millis kTakenFor{500};              // a killed process lets go of its sockets in less

/// Every enabled door's way in. Also says which door a sequence belongs to: same order as `doors`.
std::vector<Sequence> sequences_of(const Config& config) {
  std::vector<Sequence> sequences;
  for (const auto& door : config.doors) {
    if (!door.enabled || door.knock.empty()) continue;
    Sequence sequence;
    sequence.door = door.id;
    sequence.name = door.name;
    for (Port port : door.knock) sequence.steps.push_back(token_of(port));
    sequence.within = door.within;
    sequence.strays = door.strays;
    sequence.reorder = door.reorder;
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

std::vector<Port> ports_of(const std::vector<Guarded>& guarded) {
  std::vector<Port> ports;
  for (const auto& entry : guarded) ports.push_back(entry.port);
  std::sort(ports.begin(), ports.end());
  return ports;
}

std::vector<Port> without(const std::vector<Port>& ports, const std::vector<Port>& others) {
  std::vector<Port> rest;
  std::set_difference(ports.begin(), ports.end(), others.begin(), others.end(), std::back_inserter(rest));
  return rest;
}

/// Whether the door still gives every port of the grant. A port that went to another door has another knock now.
bool gives(const Door& door, const OpenGrant& grant) {
  const auto ports = guarded_by(door);
  return std::all_of(grant.ports.begin(), grant.ports.end(), [&](Port port) {
    return port == kNoPort || std::binary_search(ports.begin(), ports.end(), port);
  });
}

bool any_door(const Config& config) {
  return std::any_of(config.doors.begin(), config.doors.end(), [](const Door& door) { return door.enabled; });
}

} // namespace

Result<std::unique_ptr<Keeper>> Keeper::start(system::EventLoop& loop, std::string config_path, Config config,
                                              Instant now) {
  auto state = system::state_directory(config.control.state);
  if (!state) return tl::unexpected(state.error());
  auto gate = netlink::Gate::open();
  if (!gate) return tl::unexpected(gate.error());
  auto own = netlink::OwnAddresses::open();
  if (!own) return tl::unexpected(own.error());
  std::unique_ptr<Keeper> keeper(
      new Keeper(loop, std::move(config_path), std::move(*gate), std::move(*own), std::move(*state)));
  keeper->started_ = now;
  keeper->own_watch_ = loop.watch(keeper->own_.fd(), [keeper = keeper.get()](Instant) { keeper->own_.drain(); });
  keeper->recall();
  if (auto adopted = keeper->adopt(config, now); !adopted) return tl::unexpected(adopted.error());
  if (auto applied = keeper->apply(std::move(config), {}, now); !applied)
    return tl::unexpected(applied.error());
  return keeper;
}

Keeper::Keeper(system::EventLoop& loop, std::string config_path, netlink::Gate gate,
               netlink::OwnAddresses own, std::string state)
    : loop_(loop), config_path_(std::move(config_path)), gate_(std::move(gate)), state_(std::move(state)),
      boot_(system::boot_id()), commands_(loop), own_(std::move(own)), watchdog_(system::watchdog_period()) {}

void Keeper::recall() {
  if (const auto text = system::read_file(state_ + "/unconfirmed")) {
    const auto ports = parse_unconfirmed(*text, boot_);
    if (!ports) system::log_line(LogLevel::warn, state_ + "/unconfirmed is not ours; it is ignored");
    unconfirmed_ = ports.value_or(Unconfirmed{});
  }
  if (const auto text = system::read_file(state_ + "/off")) off_since_ = std::atoll(text->c_str());
}

/// On disk before in the kernel: a daemon killed in between must not guard for good.
Result<void> Keeper::remember(const Unconfirmed& unconfirmed, std::optional<std::int64_t> off_since) {
  const auto keep = [&](const char* name, const std::string& text) -> Result<void> {
    const auto path = fmt::format("{}/{}", state_, name);
    if (text.empty()) return system::remove_file(path);
    return system::write_file_atomically(path, text, 0600);
  };
  if (auto kept = keep("unconfirmed", encode_unconfirmed(unconfirmed, boot_)); !kept) return kept;
  return keep("off", off_since ? fmt::format("{}\n", *off_since) : "");
}

Result<void> Keeper::adopt(const Config& config, Instant now) {
  const auto elements = gate_.grants(config);
  if (!elements) return tl::unexpected(elements.error());
  ledger_.adopt(
      *elements, [&](std::string_view door) { return terms_of(config, door); }, now);
  watch_flows({}, now);
  if (flows_) flows_->look(now);
  if (!ledger_.grants().empty())
    system::log_line(LogLevel::info,
                     fmt::format("adopted {} grants from the kernel", ledger_.grants().size()));
  return {};
}

Result<Applied> Keeper::apply(Config next, const ReloadOptions& options, Instant now) {
  const auto policy = Policy::compile(sequences_of(next), next.limits.cooloff);
  if (!policy) return tl::unexpected(policy.error());
  auto image = system::seal("knockgate-policy", policy->encode());
  if (!image) return tl::unexpected(image.error());
  // Groups first: a second daemon must fail before it touches the table of the first.
  auto groups = bind(next);
  if (!groups) return tl::unexpected(groups.error());
  auto applied = any_door(next) ? enforce(next, options, now) : stand_down(next, now);
  if (!applied) return applied;
  if (options.ask && !applied->fresh.empty()) return applied;
  applied->changed = applied->changed || next.hash != config_.hash;
  if (auto followed = follow(next, std::move(*groups), std::move(*image), now); !followed)
    return tl::unexpected(followed.error());
  config_ = std::move(next);
  doors_.clear();
  for (const auto& door : config_.doors)
    if (door.enabled) doors_[static_cast<std::uint64_t>(door.id)] = &door;
  config_read_ = std::chrono::system_clock::now();
  config_error_.reset();
  ledger_.set_limits({config_.limits.grants, config_.limits.per_source});
  pace_ = Pace(config_.limits.grants);
  system::set_log_level(config_.log_level);
  return applied;
}

/// The groups `next` needs and we do not have yet.
Result<std::optional<netlink::NflogGroups>> Keeper::bind(const Config& next) {
  const auto first = next.nflog.group;
  if (!any_door(next) || (engine_ && engine_->groups().first_group() == first)) return std::nullopt;
  if (engine_ && std::abs(engine_->groups().first_group() - first) < netlink::kNflogGroups)
    return tl::unexpected(Error{fmt::format("NFLOG groups {}-{} overlap those in use", first, first + 3), 0,
                                "systemctl restart knockgated"});
  // The engine of a daemon that was killed a moment ago may not have let go yet.
  const auto patience = system::monotonic_now() + kTakenFor;
  auto groups = netlink::NflogGroups::open(first, next.nflog.buffer_bytes);
  while (!groups && groups.error().code == EPERM && system::monotonic_now() < patience) {
    system::pause(Millis{10});
    groups = netlink::NflogGroups::open(first, next.nflog.buffer_bytes);
  }
  if (!groups) return tl::unexpected(groups.error());
  if (const auto difference = groups->settings_difference(); !difference.empty())
    system::log_line(LogLevel::warn, fmt::format("NFLOG is not set as asked: {}", difference));
  return std::move(*groups);
}

/// Engine and runner as `next` wants them.
Result<void> Keeper::follow(const Config& next, std::optional<netlink::NflogGroups> groups, system::Fd policy,
                            Instant now) {
  if (!any_door(next)) {
    engine_.reset();
  } else if (!engine_) {
    auto engine =
        EngineProcess::start(loop_, next.limits.attempts, std::move(*groups), std::move(policy),
                             [this](std::span<const Completed> grants, Instant at) { judge(grants, at); });
    if (!engine) return tl::unexpected(engine.error());
    engine_ = std::move(*engine);
    next_probe_ = now;
  } else {
    if (groups) engine_->rebind(std::move(*groups));
    if (config_.nflog.buffer_bytes != next.nflog.buffer_bytes)
      engine_->resize_buffer(next.nflog.buffer_bytes);
    engine_->follow(std::move(policy));
  }
  commands_.follow(next);
  watch_table(next);
  return {};
}

Result<Applied> Keeper::enforce(const Config& next, const ReloadOptions& options, Instant now) {
  const auto guarded = gate_.guarded(next);
  if (!guarded) return tl::unexpected(guarded.error());
  const auto before = ports_of(*guarded);
  const auto all = static_sets_of(next);
  const auto ports = ports_of(all.guarded);

  auto unconfirmed = options.now ? Unconfirmed{} : unconfirmed_;
  std::erase_if(unconfirmed, [&](const auto& entry) {
    return !std::binary_search(ports.begin(), ports.end(), entry.first);
  });
  // Also while the table is gone, or off: what is guarded by the config is not new then.
  const auto promised = ports_of(with_unconfirmed(static_sets_of(config_), unconfirmed_, now).guarded);
  if (options.confirm)
    for (Port port : without(without(ports, before), promised))
      unconfirmed[port] = {.until = now + *options.confirm, .begun = now, .uid = options.uid};
  const auto on = with_unconfirmed(all, unconfirmed, now);
  const auto sets = off_since_ ? StaticSets{} : on;
  Applied applied;
  applied.guarded = without(ports_of(sets.guarded), before);
  applied.fresh = without(without(ports_of(on.guarded), before), promised);
  applied.unguarded = without(before, ports_of(sets.guarded));
  if (options.ask && !applied.fresh.empty()) return applied;

  if (auto written = remember(unconfirmed, off_since_); !written) return tl::unexpected(written.error());
  const auto sessions = plan_sessions(next, applied.guarded, now);
  if (!sessions) return tl::unexpected(sessions.error());
  look(ledger_.uses_keys()); // a set that is made anew forgets what it counted
  const auto there = gate_.loaded(next);
  const bool lost = !disturber_.empty() || !there.value_or(true);
  if (auto loaded = gate_.load(next, sets, sessions->batch, ledger_.all(now)); !loaded)
    return tl::unexpected(loaded.error());
  // In a pause of healing, or while off, what was open went with the table.
  if (lost) {
    if (flows_) flows_->drain(now); // a spent use must not come back
    if (auto back = gate_.commit(next, ledger_.all(now)); !back) return tl::unexpected(back.error());
    disturber_.clear();
  }
  applied.changed =
      lost || !applied.guarded.empty() || !applied.unguarded.empty() || unconfirmed != unconfirmed_;
  unconfirmed_ = std::move(unconfirmed);
  next_trial_ = {};
  heals_ = {}; // whoever reloads wants the table, whatever was
  settle(*sessions, now);
  for (const auto& event : sessions->events) applied.sessions.push_back(event.grant);
  if (auto closed = close_gone(next, now, applied); !closed) return tl::unexpected(closed.error());
  return applied;
}

Result<Applied> Keeper::stand_down(const Config& next, Instant now) {
  Applied applied;
  const auto before = gate_.guarded(next);
  if (!before) return tl::unexpected(before.error());
  applied.unguarded = ports_of(*before);
  applied.changed = !applied.unguarded.empty();
  if (auto closed = close_gone(next, now, applied); !closed) return tl::unexpected(closed.error());
  if (auto unloaded = gate_.unload(next); !unloaded) return tl::unexpected(unloaded.error());
  if (auto written = remember({}, off_since_); !written) return tl::unexpected(written.error());
  unconfirmed_.clear();
  return applied;
}

Result<void> Keeper::close_gone(const Config& next, Instant now, Applied& applied) {
  std::map<std::string_view, std::set<std::uint64_t>> gone; // by why
  for (const auto& [id, grant] : ledger_.grants()) {
    const auto door = std::find_if(next.doors.begin(), next.doors.end(),
                                   [&](const Door& one) { return one.enabled && one.name == grant.door; });
    if (grant.via == Via::foreign) continue;
    if (door == next.doors.end())
      gone["door-removed"].insert(id);
    else if (!gives(*door, grant))
      gone["door-changed"].insert(id);
  }
  for (const auto& [reason, ids] : gone) {
    auto plan = plan_close({.ids = ids}, reason, now);
    refresh(plan);
    if (auto committed = gate_.commit(next, plan.batch); !committed) return committed;
    settle(plan, now);
    applied.closed += plan.closed.size();
  }
  return {};
}

Result<Plan> Keeper::plan_sessions(const Config& next, const std::vector<Port>& ports, Instant now) const {
  Plan nobody;
  if (ports.empty()) return nobody;
  const auto connections = netlink::open_connections();
  if (!connections) return tl::unexpected(connections.error());
  std::vector<GrantRequest> requests;
  const auto before = ledger_.sessions().size();
  for (const auto& flow : *connections) {
    if (before + requests.size() >= kMostSessions) break; // conntrack carries the others on, if it knows them
    if (!std::binary_search(ports.begin(), ports.end(), flow.port) || !grantable(flow.source)) continue;
    const auto owner = std::find_if(next.doors.begin(), next.doors.end(), [&](const Door& door) {
      return door.enabled && std::binary_search(door.opens.begin(), door.opens.end(), flow.port);
    });
    if (owner == next.doors.end()) continue;
    GrantRequest request;
    request.door = owner->name;
    request.source = flow.source;
    request.source_port = flow.source_port;
    request.ports = {flow.port};
    request.via = Via::session;
    request.open_for = request.max =
        owner->max; // without us the kernel keeps it as long, and lets in no other
    requests.push_back(std::move(request));
  }
  return ledger_.plan_open(requests, now);
}

StaticSets Keeper::wanted(Instant now) const {
  if (off_since_) return {};
  return with_unconfirmed(static_sets_of(config_), unconfirmed_, now);
}

} // namespace knock::keeper
