// SPDX-License-Identifier: GPL-2.0-or-later
// All files together: what doors must not share, and the way through the rooms.
#include "config_parts.hpp"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include <knock/policy.hpp>

namespace knock::grammar {
namespace {

constexpr std::size_t kMaxDoors = 10'000; // what the policy is measured with

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
  for (const auto& read : doors) {
    const auto [first, fresh] = ids.try_emplace(static_cast<std::uint64_t>(read.door.id), &read.door);
    if (fresh) continue;
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

void check_sequences(Reader& in, std::span<const ReadDoor* const> doors) {
  std::map<std::vector<Port>, const Door*> sequences;
  for (const auto* read : doors) {
    if (read->door.knock.empty()) continue;
    const auto [first, fresh] = sequences.try_emplace(read->door.knock, &read->door);
    if (!fresh)
      in.refuse(read->written->find("knock")->spot,
                fmt::format("door {} has the same knock as {}", read->door.name, named(*first->second)),
                "change one of them");
  }
}

void check_nodes(Reader& in, std::span<const ReadDoor* const> doors) {
  std::size_t nodes = 0;
  const ReadDoor* beyond = nullptr;
  for (const auto* read : doors) {
    const auto steps = read->door.knock.size();
    const bool swaps = steps > 0 && read->door.reorder > Millis{0};
    nodes += swaps ? 2 * steps - 1 : steps;
    if (nodes > kMaxNodes && beyond == nullptr) beyond = read;
  }
  if (beyond == nullptr) return;
  in.refuse(beyond->written->find("knock")->spot,
            fmt::format("the sequences of all doors take {} nodes, {} is the most", nodes, kMaxNodes),
            "write reorder = \"0s\": n steps then take n nodes, not 2n - 1");
}

/// A guarded port never reports, so a knock at it would be lost.
void check_guarded_knocks(Reader& in, std::span<const ReadDoor* const> doors) {
  std::map<Port, const Door*> guards;
  for (const auto* read : doors)
    for (Port port : read->door.opens) guards.try_emplace(port, &read->door);
  for (const auto* read : doors)
    for (std::size_t i = 0; i < read->door.knock.size(); ++i) {
      const auto guard = guards.find(read->door.knock[i]);
      if (guard != guards.end())
        in.refuse(read->written->find("knock")->items[i].spot,
                  fmt::format("{} is guarded by {}", to_string(guard->first), named(*guard->second)),
                  "knock at a port that no door opens");
    }
}

/// Whether somebody who reads this could open a door.
bool holds_secret(const Written& tree) {
  const auto* doors = tree.find("door");
  return doors != nullptr && std::any_of(doors->items.begin(), doors->items.end(), [](const Written& door) {
           return door.find("knock") != nullptr || door.find("close_knock") != nullptr;
         });
}

struct Reading {
  ParsedConfig out;
  Config config;
  SetKeys seen;
  std::vector<ReadDoor> doors;
};

void read_tree(Reader& in, const Written& tree, ConfigText::Part part, Reading& reading) {
  for (const auto& item : tree.items) {
    if (part == ConfigText::Part::users)
      return in.refuse(item.key_spot, "users are not in this version", "empty or remove the file");
    if (item.key != "door") {
      read_section(in, item, reading.seen, reading.config);
    } else if (in.is_table(item, "[door.NAME]")) {
      for (const auto& door : item.items) reading.doors.push_back(read_door(in, door));
    }
  }
}

} // namespace

void check_doors(Reader& in, std::span<const ReadDoor> doors) {
  check_names(in, doors);
  const auto live = guarding(doors);
  check_sequences(in, live);
  check_nodes(in, live);
  check_guarded_knocks(in, live);
}

} // namespace knock::grammar

namespace knock {

ParsedConfig parse_config(std::span<const ConfigText> texts, std::optional<std::uint64_t> seed) {
  grammar::Reading reading;
  auto& findings = reading.out.findings;
  grammar::Reader in(findings);
  std::vector<grammar::Written> trees;
  trees.reserve(texts.size()); // doors point into them
  bool with_gate = false;
  for (const auto& text : texts) {
    with_gate = with_gate || text.part == ConfigText::Part::main;
    auto tree = grammar::parse_written(text);
    if (!tree) {
      findings.push_back(tree.error());
      continue;
    }
    if (grammar::holds_secret(*tree)) reading.out.secret_files.push_back(text.file);
    grammar::read_tree(in, trees.emplace_back(std::move(*tree)), text.part, reading);
  }
  grammar::check_sections(in, reading.seen, reading.config);
  grammar::check_doors(in, reading.doors);
  if (!findings.empty()) return std::move(reading.out);
  grammar::lint(findings, reading.config, reading.doors, with_gate, seed);
  for (auto& read : reading.doors) reading.config.doors.push_back(std::move(read.door));
  reading.out.config = std::move(reading.config);
  return std::move(reading.out);
}

std::string to_string(const Finding& finding) {
  std::string line = finding.place.file;
  if (finding.place.line != 0) line += fmt::format(":{}:{}", finding.place.line, finding.place.column);
  line += finding.level == Finding::Level::error ? ": error: " : ": warning: ";
  line += finding.text;
  return finding.advice.empty() ? line : line + "; " + finding.advice;
}

} // namespace knock
