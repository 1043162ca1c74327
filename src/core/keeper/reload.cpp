// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/reload.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include <knock/limits.hpp>

namespace knock::keeper {
namespace {

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

/// Whether the door still gives every port of the grant. A port that went to another door has another knock now. So has
/// a range that is cut elsewhere: a new grant of the source could not stand beside it.
bool gives(const Door& door, const OpenGrant& grant) {
  const auto ports = guarded_by(door);
  const auto& ranges = door.ranges;
  if (!std::includes(ranges.begin(), ranges.end(), grant.ranges.begin(), grant.ranges.end())) return false;
  return std::all_of(grant.ports.begin(), grant.ports.end(), [&](Port port) {
    return port == kNoPort || std::binary_search(ports.begin(), ports.end(), port);
  });
}

/// What stays on trial under `next`, and what a reload with --confirm adds.
Unconfirmed trials_of(const Unconfirmed& before, const std::vector<Port>& wanted,
                      const std::vector<Port>& fresh, const ReloadOptions& options, Instant now) {
  auto trials = options.now ? Unconfirmed{} : before;
  std::erase_if(trials, [&](const auto& entry) {
    return !std::binary_search(wanted.begin(), wanted.end(), entry.first);
  });
  if (options.confirm)
    for (Port port : fresh)
      trials[port] = {.until = now + *options.confirm, .begun = now, .uid = options.uid};
  return trials;
}

} // namespace

bool any_door(const Config& config) {
  return count_enabled(config) != 0;
}

StaticSets sets_of(const Config& config, const Memory& memory, Instant now) {
  if (memory.off_since) return {};
  return with_unconfirmed(static_sets_of(config), memory.unconfirmed, now);
}

Wish plan_reload(const Config* before, ConfigPointer next, const Memory& memory, const ReloadOptions& options,
                 const std::vector<Guarded>& guarded, Instant now) {
  Wish wish{std::move(next), {{}, memory.off_since}};
  const auto there = ports_of(guarded);
  if (!any_door(*wish.config)) {
    wish.applied.unguarded = there;
  } else {
    const auto all = static_sets_of(*wish.config);
    const auto ports = ports_of(all.guarded);
    const auto kept = trials_of(memory.unconfirmed, ports, {}, options, now);
    // Also while the table is gone, or off: what is guarded by the config is not new then.
    const auto promised =
        before == nullptr
            ? std::vector<Port>{}
            : ports_of(with_unconfirmed(static_sets_of(*before), memory.unconfirmed, now).guarded);
    wish.memory.unconfirmed = trials_of(kept, ports, without(without(ports, there), promised), options, now);
    const auto on = with_unconfirmed(all, wish.memory.unconfirmed, now);
    wish.sets = memory.off_since ? StaticSets{} : on;
    wish.applied.guarded = without(ports_of(wish.sets.guarded), there);
    wish.applied.fresh = without(without(ports_of(on.guarded), there), promised);
    wish.applied.unguarded = without(there, ports_of(wish.sets.guarded));
  }
  wish.applied.changed = !wish.applied.guarded.empty() || !wish.applied.unguarded.empty() ||
                         wish.memory.unconfirmed != memory.unconfirmed ||
                         (before != nullptr && (before->hash != wish.config->hash ||
                                                before->users_hash != wish.config->users_hash));
  return wish;
}

bool is_forbidden(const Wish& wish, const ReloadOptions& options) {
  return options.ask && !wish.applied.fresh.empty();
}

std::optional<Failure> unchangeable(const Config& before, const Config& next, const std::string& path) {
  std::string_view what;
  if (next.nft.mode != before.nft.mode || next.nft.table != before.nft.table)
    what = "[nft] mode and table are";
  if (next.control.socket != before.control.socket) what = "[control] socket is";
  if (next.control.state != before.control.state) what = "[control] state is";
  if (next.limits.attempts != before.limits.attempts) what = "[limits] attempts is";
  if (what.empty()) return std::nullopt;
  return Failure{ExitCode::bad_config,
                 "bad-config",
                 {path, 0, 0},
                 fmt::format("{} fixed at start", what),
                 "systemctl restart knockgated"};
}

std::vector<GrantRequest> sessions_of(const Config& next, const std::vector<Port>& ports,
                                      const std::vector<GrantKey>& connections, std::size_t before) {
  std::vector<GrantRequest> requests;
  for (const auto& flow : connections) {
    if (before + requests.size() >= kMostSessions) break; // conntrack carries the others on, if it knows them
    if (!std::binary_search(ports.begin(), ports.end(), flow.port) || !grantable(flow.source)) continue;
    const auto owner = std::find_if(next.doors.begin(), next.doors.end(),
                                    [&](const Door& door) { return door.enabled && opens(door, flow.port); });
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
  return requests;
}

namespace {

/// Whether its device may have it still, until its end. By the clock of the wall, which is not as exact as ours.
bool is_revoked(const Config& config, const OpenGrant& grant, const WallNow& now) {
  constexpr Seconds kSlack{2};
  if (grant.via != Via::kn1) return false;
  const auto* device = find_device(config, grant.by);
  if (device == nullptr || !may_open(config, *device, grant.door)) return true;
  const bool has_key = grant.key.empty() || grant.key == tag_of(device->key.kid) ||
                       (device->old && grant.key == tag_of(device->old->key.kid));
  if (!has_key) return true;
  if (!device->until || now.at == Instant{}) return false;
  // One that goes on by itself ends at its cap; any other is extended by a packet, which is judged by `until` anew.
  const auto last = grant.terms.close == Close::after ? grant.ends : grant.cap;
  return now.wall + std::chrono::floor<Seconds>(last - now.at) > *device->until + kSlack;
}

} // namespace

std::map<std::string, std::set<std::uint64_t>> gone_grants(const Config& config, const Ledger& ledger,
                                                           const WallNow& now) {
  std::map<std::string, std::set<std::uint64_t>> gone;
  for (const auto& [id, grant] : ledger.grants()) {
    if (grant.via == Via::foreign) continue;
    const auto* door = enabled_door(config, grant.door);
    if (door == nullptr)
      gone["door-removed"].insert(id);
    else if (!gives(*door, grant))
      gone["door-changed"].insert(id);
    else if (is_revoked(config, grant, now))
      gone["revoked"].insert(id);
  }
  return gone;
}

} // namespace knock::keeper
