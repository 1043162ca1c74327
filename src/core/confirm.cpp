// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/confirm.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <knock/limits.hpp>

namespace knock {
namespace {

/// Cuts `text` at the first `end`; all of it when there is none.
std::string_view take(std::string_view& text, char end) {
  const auto at = std::min(text.find(end), text.size());
  const auto word = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return word;
}

std::optional<std::uint64_t> number_in(std::string_view text, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || stop != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

std::uint64_t ms_of(Instant at) {
  return static_cast<std::uint64_t>(std::chrono::ceil<Millis>(at.time_since_epoch()).count());
}

/// `BEGUN UID` and what follows.
bool parse_beginning(std::string_view text, Trial& trial) {
  const auto begun = number_in(take(text, ' '), kMaxClock.count());
  const auto uid = number_in(take(text, ' '), 0xffffffffU);
  if (!begun || !uid) return false;
  trial.begun = Instant{Millis{*begun}};
  trial.uid = static_cast<std::uint32_t>(*uid);
  if (text.empty()) return true;
  const auto source = parse_address(take(text, ' '));
  const auto door = take(text, ' ');
  const auto how = take(text, ' ');
  const auto steps = number_in(text, ~std::uint64_t{0});
  if (!source || door.empty() || (how != "knock" && how != "hand") || !steps) return false;
  trial.opening = {*source, std::string(door), how == "hand", *steps};
  return true;
}

std::optional<std::pair<Port, Trial>> parse_line(std::string_view line, std::string_view boot) {
  const auto port = parse_port(take(line, ' '));
  const auto deadline = number_in(take(line, ' '), kMaxClock.count());
  const auto written_at = take(line, ' ');
  Trial trial;
  if (!port || !deadline || written_at.empty()) return std::nullopt;
  if (!line.empty() && !parse_beginning(line, trial)) return std::nullopt;
  trial.told = *deadline == 0;
  if (written_at == boot) trial.until = Instant{Millis{*deadline}};
  if (written_at != boot) trial.begun = {};
  return std::pair{*port, std::move(trial)};
}

bool is_door_of(const Door& door, Port port) {
  return door.enabled && guards(door, port);
}

std::uint64_t hash_of(const std::vector<Step>& steps) {
  std::string text;
  for (const auto& step : steps) text += fmt::format("{} {} ", to_string(step.kind), step.pause.count());
  return static_cast<std::uint64_t>(door_id(text));
}

/// By a knock or a signed packet, which a hand proves nothing of.
bool opens_by_itself(const Door* door) {
  return !door->knock.empty() || door->kn1;
}

/// Whether it could happen so today.
bool holds_still(const Config& config, Port port, const CameIn& opening) {
  const auto* door = enabled_door(config, opening.door);
  return door != nullptr && is_door_of(*door, port) && hash_of(door->knock) == opening.steps;
}

} // namespace

std::string encode_unconfirmed(const Unconfirmed& ports, std::string_view boot) {
  std::string text;
  for (const auto& [port, trial] : ports) {
    text += fmt::format("{} {} {}", to_string(port), trial.told ? 0 : ms_of(trial.until), boot);
    if (trial.uid) text += fmt::format(" {} {}", ms_of(trial.begun), *trial.uid);
    if (trial.uid && trial.opening)
      text += fmt::format(" {} {} {} {}", to_string(trial.opening->source), trial.opening->door,
                          trial.opening->by_hand ? "hand" : "knock", trial.opening->steps);
    text += '\n';
  }
  return text;
}

std::optional<Unconfirmed> parse_unconfirmed(std::string_view text, std::string_view boot) {
  Unconfirmed ports;
  if (!text.empty() && !text.ends_with('\n')) return std::nullopt;
  while (!text.empty()) {
    auto parsed = parse_line(take(text, '\n'), boot);
    if (!parsed) return std::nullopt;
    ports[parsed->first] = std::move(parsed->second);
  }
  return ports;
}

StaticSets with_unconfirmed(StaticSets sets, const Unconfirmed& ports, Instant now) {
  std::erase_if(sets.guarded, [&](Guarded& guarded) {
    const auto it = ports.find(guarded.port);
    if (it == ports.end()) return false;
    if (it->second.until <= now) return true;
    guarded.left = std::chrono::ceil<Millis>(it->second.until - now);
    return false;
  });
  return sets;
}

std::string boot_file_text(const Config& config, const Unconfirmed& ports, bool off) {
  if (off || count_enabled(config) == 0 || config.nft.mode == Mode::embed) return {};
  auto sets = static_sets_of(config);
  std::erase_if(sets.guarded, [&](const Guarded& guarded) { return ports.contains(guarded.port); });
  return boot_text(config, sets);
}

bool note_opening(Unconfirmed& ports, const Config& config, const OpenGrant& grant, Instant now) {
  if (ports.empty() || grant.via == Via::session || grant.via == Via::foreign) return false;
  const auto* door = enabled_door(config, grant.door);
  if (door == nullptr) return false;
  const CameIn opening{grant.source, grant.door, grant.via == Via::hand, hash_of(door->knock)};
  bool news = false;
  for (auto& [port, trial] : ports) {
    if (!holds(grant, port) || trial.until <= now || !is_door_of(*door, port)) continue;
    auto& known = trial.opening;
    if (known && holds_still(config, port, *known) && (opening.by_hand || !known->by_hand)) continue;
    known = opening;
    news = true;
  }
  return news;
}

std::vector<const Door*> doors_to_prove(const Config& config, Port port) {
  std::vector<const Door*> doors;
  for (const auto& door : config.doors)
    if (is_door_of(door, port)) doors.push_back(&door);
  if (std::any_of(doors.begin(), doors.end(), opens_by_itself))
    std::erase_if(doors, [](const Door* door) { return !opens_by_itself(door); });
  return doors;
}

bool is_proven(const Config& config, Port port, const Trial& trial) {
  if (!trial.opening || !holds_still(config, port, *trial.opening)) return false;
  if (!trial.opening->by_hand) return true;
  const auto doors = doors_to_prove(config, port);
  return std::none_of(doors.begin(), doors.end(), opens_by_itself);
}

} // namespace knock
