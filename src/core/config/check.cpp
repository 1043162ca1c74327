// SPDX-License-Identifier: GPL-2.0-or-later
// Doors among themselves: what they must not share.
#include "parts.hpp"
#include "steps.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <fmt/format.h>

#include <knock/policy.hpp>

namespace knock::grammar {
namespace {

std::string named(const Door& door) {
  return fmt::format("door {} ({}:{}:{})", door.name, door.place.file, door.place.line, door.place.column);
}

/// Doors that will be guarded, of which everything is known.
std::vector<const ReadDoor*> guarding(std::span<const ReadDoor> doors) {
  std::vector<const ReadDoor*> live;
  for (const auto& read : doors)
    if (read.sound && read.door.enabled) live.push_back(&read);
  return live;
}

void check_names(Reader& in, std::span<const ReadDoor> doors) {
  std::unordered_map<std::uint64_t, const Door*> ids;
  std::set<kn1::WireId> wires;
  for (const auto& read : doors) {
    const auto [first, fresh] = ids.try_emplace(static_cast<std::uint64_t>(read.door.id), &read.door);
    if (fresh) {
      if (!wires.insert(read.door.wire).second)
        in.refuse(read.written->key_spot,
                  fmt::format("door {} is called like another in signed packets", read.door.name),
                  "rename it");
      continue;
    }
    const bool same = first->second->name == read.door.name;
    in.refuse(read.written->key_spot,
              same ? fmt::format("door {} stands twice, first at {}", one_line(read.door.name),
                                 to_string(Spot{first->second->place.file, first->second->place.line,
                                                first->second->place.column}))
                   : fmt::format("door {} has the same id as {}", read.door.name, named(*first->second)),
              "rename or remove one of them");
  }
  if (doors.size() > kMaxDoors)
    in.refuse(doors[kMaxDoors].written->key_spot, fmt::format("{} doors", doors.size()),
              fmt::format("write at most {}", kMaxDoors));
}

/// What only all sequences together show, as the engine will follow them.
void check_sequences(Reader& in, std::span<const ReadDoor* const> doors) {
  std::vector<Sequence> sequences;
  std::vector<const ReadDoor*> whose;
  for (const auto* read : doors)
    for (auto& sequence : sequences_of(read->door)) {
      sequences.push_back(std::move(sequence));
      whose.push_back(read);
    }
  const auto policy = Policy::compile(sequences, {});
  if (policy) return;
  const auto& [at, other, text, advice] = policy.error();
  in.refuse(whose[at]->written->find(sequences[at].closes ? "close_knock" : "knock")->spot,
            other ? fmt::format("door {} {} {}", sequences[at].name, text, named(whose[*other]->door)) : text,
            advice);
}

/// Where door `read` names `port`.
Spot spot_where(const ReadDoor& read, Port port) {
  if (const auto* forward = read.written->find("forward"); forward != nullptr)
    if (const auto* entry = forward->find(to_string(port)); entry != nullptr) return entry->key_spot;
  const auto* opens = read.written->find("opens");
  for (const auto& item : opens->items)
    if (const auto range = parse_port_range(item.text); range && range->first <= port && port <= range->last)
      return item.spot;
  return opens->spot;
}

/// An outer port that leads to an inner host does so for everybody: it is in no other door.
void check_forwards(Reader& in, std::span<const ReadDoor* const> doors) {
  struct Claim {
    const Door* door;
    bool forwards;
  };
  std::map<Port, Claim> claims;
  const auto verb = [](bool forwards) { return forwards ? "forwarded" : "opened"; };
  const auto claim = [&](const ReadDoor& read, Port port, bool forwards) {
    const auto [first, fresh] = claims.try_emplace(port, Claim{&read.door, forwards});
    if (fresh || (!forwards && !first->second.forwards)) return;
    in.refuse(spot_where(read, port),
              fmt::format("{} is {} by door {} and {} by {}", to_string(port), verb(forwards), read.door.name,
                          verb(first->second.forwards), named(*first->second.door)),
              "a forwarded port belongs to one door: remove it from one of them");
  };
  for (const auto* read : doors) {
    for (Port port : opened_by(read->door)) claim(*read, port, false);
    for (const auto& forward : read->door.forwards) claim(*read, forward.outer, true);
  }
}

/// Whether a connection lives on is asked of a port, when nobody knows any more which door let it in.
void check_flows(Reader& in, std::span<const ReadDoor* const> doors) {
  const auto flows = [](const Door& door) { return door.cut ? "cut" : "keep"; };
  std::map<Port, const Door*> firsts;
  for (const auto* read : doors)
    for (Port port : opened_by(read->door)) {
      const auto [first, fresh] = firsts.try_emplace(port, &read->door);
      if (fresh || first->second->cut == read->door.cut) continue;
      const auto* own = read->written->find("flows");
      in.refuse(own != nullptr ? own->spot : spot_where(*read, port),
                fmt::format("door {} has flows = \"{}\" for {}, {} has \"{}\"", read->door.name,
                            flows(read->door), to_string(port), named(*first->second), flows(*first->second)),
                "flows marks the port: write the same in both");
      break; // once a door, not for each port of a range
    }
}

/// A guarded port never reports, so a knock at it would be lost.
void check_guarded_knocks(Reader& in, std::span<const ReadDoor* const> doors) {
  std::map<Port, const Door*> guards;
  for (const auto* read : doors) {
    for (Port port : opened_by(read->door)) guards.try_emplace(port, &read->door);
    for (const auto& forward : read->door.forwards) guards.try_emplace(forward.outer, &read->door);
  }
  for (const auto* read : doors)
    for (const char* key : {"knock", "close_knock"}) {
      const auto* knock = read->written->find(key);
      if (knock == nullptr) continue;
      for (const auto& item : knock->items) {
        const auto step = parse_step(item.text);
        const auto guard = step && step->kind ? guards.find(step->kind->port) : guards.end();
        if (guard != guards.end())
          in.refuse(item.spot,
                    fmt::format("{} is guarded by {}", to_string(guard->first), named(*guard->second)),
                    opens(read->door, guard->first)
                        ? "leave it out: the port opens with the step before it, and is then used as always"
                        : "knock at a port that no door opens or forwards");
      }
    }
}

void check_pieces(Reader& in, const Door& door, const Written& written, std::size_t pieces) {
  if (pieces > kMaxPieces)
    in.refuse(written.find("opens")->spot,
              fmt::format("door {} opens {} pieces of ranges, {} is the most", door.name, pieces, kMaxPieces),
              "ranges are cut where those of other doors begin and end: write the same in all of them");
}

} // namespace

void check_doors(Reader& in, std::span<const ReadDoor> doors, Mode mode) {
  check_names(in, doors);
  const auto live = guarding(doors);
  check_sequences(in, live);
  check_guarded_knocks(in, live);
  check_forwards(in, live);
  check_flows(in, live);
  if (mode != Mode::embed) return;
  for (const auto* read : live) check_embedded(in, *read->written);
}

void fill_grants(Reader& in, std::span<ReadDoor> doors, const SetKeys& seen, const Config& config,
                 bool alone) {
  const auto all = config.limits.grants;
  const auto limit = seen.find("limits.grants");
  for (auto& [door, written, sound] : doors) {
    if (const auto* own = written->find("grants"); own == nullptr)
      door.grants = std::min(all, std::max(all / 4, kLeastShare));
    else if (door.grants > all && !alone)
      in.refuse(own->spot,
                fmt::format("{} is more than [limits] grants, {} {}", shown(*own), all,
                            limit == seen.end() ? "by default" : "at " + to_string(limit->second)),
                "write less here, or more there");
  }
}

void cut_ranges(Reader& in, std::span<ReadDoor> doors) {
  std::set<Port> cuts; // where a piece begins
  for (const auto& [door, written, sound] : doors)
    for (const auto& range : door.ranges) {
      if (!door.enabled) continue;
      cuts.insert(range.first);
      if (range.last.number != 65'535)
        cuts.insert({range.last.protocol, static_cast<std::uint16_t>(range.last.number + 1)});
    }
  for (auto& [door, written, sound] : doors) {
    if (!door.enabled) continue;
    std::vector<PortRange> pieces;
    for (auto range : door.ranges) {
      for (auto cut = cuts.upper_bound(range.first); cut != cuts.end() && *cut <= range.last; ++cut) {
        pieces.push_back({range.first, {cut->protocol, static_cast<std::uint16_t>(cut->number - 1)}});
        range.first = *cut;
      }
      pieces.push_back(range);
    }
    check_pieces(in, door, *written, pieces.size());
    door.ranges = std::move(pieces);
  }
}

void fill_any(Reader& in, std::span<ReadDoor> doors, bool alone) {
  std::set<Port> opens;
  std::set<PortRange> ranges;
  std::set<Forward> forwards;
  const Door* forwarder = nullptr;
  const Door* ranger = nullptr;
  for (const auto& [door, written, sound] : doors) {
    if (!door.enabled || door.any) continue;
    opens.insert(door.opens.begin(), door.opens.end());
    ranges.insert(door.ranges.begin(), door.ranges.end());
    if (!door.ranges.empty()) ranger = &door;
    forwards.insert(door.forwards.begin(), door.forwards.end());
    if (!door.forwards.empty()) forwarder = &door;
  }
  const auto count = opens.size() + forwards.size();
  for (auto& [door, written, sound] : doors) {
    if (!door.enabled || !door.any) continue;
    const auto& spot = written->find("opens")->spot;
    if (count == 0 && ranges.empty() && !alone)
      in.refuse(spot, fmt::format("door {} opens any port, and no other door has one", door.name),
                "add a door with ports, or name them here");
    else if (count > kMaxAny)
      in.refuse(spot, fmt::format("door {} opens any port, and these are {}", door.name, count),
                fmt::format("name its ports here, or open and forward at most {} in all doors", kMaxAny));
    else if (const auto* grant = written->find("grant");
             grant != nullptr && (forwarder != nullptr || ranger != nullptr))
      in.refuse(grant->key_spot,
                fmt::format("grant does not go with {}, and door {} opens those of {}",
                            forwarder != nullptr ? "forward" : "wide ranges", door.name,
                            named(forwarder != nullptr ? *forwarder : *ranger)),
                "remove grant, or name the ports here");
    check_pieces(in, door, *written, ranges.size());
    door.opens.assign(opens.begin(), opens.end());
    door.ranges.assign(ranges.begin(), ranges.end());
    door.forwards.assign(forwards.begin(), forwards.end());
  }
}

} // namespace knock::grammar
