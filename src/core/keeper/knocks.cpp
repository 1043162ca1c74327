// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/knocks.hpp"

#include <fmt/format.h>

namespace knock::keeper {

bool Cooldowns::ready(const Door& door, Instant now) const {
  const auto last = last_.find(door.name);
  return !door.run.empty() && (last == last_.end() || now >= last->second + door.cooldown);
}

bool Cooldowns::start(const Door& door, Instant now) {
  if (!ready(door, now)) {
    ++cooled_;
    return false;
  }
  last_[door.name] = now; // a command that fails at once must not fail at every knock
  return true;
}

void Knocks::follow(const Config& config) {
  doors_.clear();
  for (const auto& door : config.doors)
    if (door.enabled) doors_[static_cast<std::uint64_t>(door.id)] = &door;
  pace_ = Pace(config.limits.grants);
}

const Door* Knocks::door_of(const Completed& record, Counts& refused, unsigned& suspicions) const {
  const auto door = doors_.find(static_cast<std::uint64_t>(record.door));
  if (!grantable(record.source)) {
    ++refused["source"];
    ++suspicions; // an honest engine leaves such packets alone
  } else if (door == doors_.end()) {
    ++refused["unknown_door"]; // removed a moment ago
  } else if (own_.contains(record.source)) {
    ++refused["own_address"]; // forged, and an engine cannot know
  } else {
    return door->second;
  }
  return nullptr;
}

unsigned Knocks::judge(std::span<const Completed> records, Instant now, std::vector<Opening>& openings,
                       Counts& refused, std::vector<Line>& lines) {
  unsigned suspicions = 0;
  for (const auto& record : records) {
    const auto* door = door_of(record, refused, suspicions);
    if (door == nullptr) continue;
    if (!pace_.take(door->id, door->grants, now)) {
      ++refused["pace"];
      continue;
    }
    auto opening = opening_of(*door, record.source, cooldowns_, now);
    if (opening.opens || !door->run.empty()) {
      openings.push_back(std::move(opening));
      continue;
    }
    ++refused["family"];
    lines.push_back(
        {LogLevel::info,
         fmt::format("refused door={} source={} reason=family: it leads nowhere over {}", door->name,
                     to_string(record.source), record.source.family == Family::ipv4 ? "IPv4" : "IPv6")});
  }
  return suspicions;
}

const Door* Knocks::hurried(Instant now) const {
  const auto id = pace_.exceeded(now);
  const auto door = id ? doors_.find(static_cast<std::uint64_t>(*id)) : doors_.end();
  return door == doors_.end() ? nullptr : door->second;
}

Opening opening_of(const Door& door, const Address& source, const Cooldowns& cooldowns, Instant now) {
  Opening opening;
  opening.request = request_for(door, source);
  opening.request.terms.says_close = !door.run_close.empty() && cooldowns.ready(door, now);
  opening.opens = !(opening.request.ports.empty() && opening.request.ranges.empty());
  return opening;
}

RunRequest run_of(const Config& config, const Door& door, const Address& source, Via via) {
  RunRequest run;
  run.time = config.runner.time;
  run.door = door.name;
  run.source = to_string(source);
  run.via = to_string(via);
  run.argv = door.run;
  return run;
}

RunRequest run_close_of(const Config& config, const Door& door, const OpenGrant& grant) {
  auto run = run_of(config, door, grant.source, grant.via);
  run.by = grant.by;
  run.event = "close";
  run.argv = door.run_close;
  return run;
}

} // namespace knock::keeper
