// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/knocks.hpp"

#include <fmt/format.h>

namespace knock::keeper {
namespace {

bool has(const Door& door, RecordKind kind) {
  return !(kind == RecordKind::closing ? door.close_knock : door.knock).empty();
}

} // namespace

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
  closing_pace_ = Pace(config.limits.grants);
}

const Door* Knocks::door_of(const Record& record, Counts& refused, unsigned& suspicions) const {
  const auto door = doors_.find(static_cast<std::uint64_t>(record.door));
  if (!grantable(record.source)) {
    ++refused["source"];
    ++suspicions; // an honest engine leaves such packets alone
  } else if (door == doors_.end() || !has(*door->second, record.kind)) {
    ++refused["unknown_door"]; // removed a moment ago, or only its knock
  } else if (own_.contains(record.source)) {
    ++refused["own_address"]; // forged, and an engine cannot know
  } else {
    return door->second;
  }
  return nullptr;
}

unsigned Knocks::judge(std::span<const Record> records, Instant now, std::vector<Job>& jobs, Counts& refused,
                       std::vector<Line>& lines) {
  unsigned suspicions = 0;
  for (const auto& record : records) {
    if (record.kind == RecordKind::scan) {
      if (scan_pace_.take({}, 0, now))
        lines.push_back({LogLevel::info, fmt::format("scan source={}", to_string(record.source))});
      continue;
    }
    const auto* door = door_of(record, refused, suspicions);
    if (door == nullptr) continue;
    const bool closes = record.kind == RecordKind::closing;
    if (!keeps_pace(*door, closes, now)) {
      ++refused["pace"];
      continue;
    }
    if (closes) {
      jobs.emplace_back(Closing{.which = {.door = door->name, .source = record.source}});
      continue;
    }
    auto opening = opening_of(*door, record.source, cooldowns_, now);
    if (opening.opens || !door->run.empty()) {
      jobs.emplace_back(std::move(opening));
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

namespace {

RunRequest run_at(const Config& config, const Door& door, const Address& source, const std::string& by,
                  Via via) {
  RunRequest run;
  run.time = config.runner.time;
  run.door = door.name;
  run.source = to_string(source);
  run.by = by;
  run.via = to_string(via);
  return run;
}

} // namespace

RunRequest run_of(const Config& config, const Door& door, const Opening& opening) {
  const auto& request = opening.request;
  auto run = run_at(config, door, request.source, request.by, request.via);
  run.argv = door.run;
  if (opening.signed_packet) run.input = opening.signed_packet->input;
  return run;
}

RunRequest run_close_of(const Config& config, const Door& door, const OpenGrant& grant) {
  auto run = run_at(config, door, grant.source, grant.by, grant.via);
  run.event = "close";
  run.argv = door.run_close;
  return run;
}

} // namespace knock::keeper
