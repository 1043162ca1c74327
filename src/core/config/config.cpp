// SPDX-License-Identifier: GPL-2.0-or-later
// All files together: the way through the rooms.
#include "people.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sodium/crypto_generichash.h>

#include <knock/quoted.hpp>

namespace knock::grammar {
namespace {

/// Whether a reader of this file could open a door.
bool holds_secret(const Written& tree, ConfigText::Part part) {
  if (part == ConfigText::Part::users || part == ConfigText::Part::keys) return true;
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
  People people;
};

void read_tree(Reader& in, const Written& tree, ConfigText::Part part, Reading& reading) {
  if (part == ConfigText::Part::users) return read_people(in, tree, reading.people);
  if (part == ConfigText::Part::keys) return read_server_keys(in, tree, reading.config);
  for (const auto& item : tree.items) {
    if (item.key != "door") {
      read_section(in, item, reading.seen, reading.config);
    } else if (in.is_table(item, "[door.NAME]")) {
      for (const auto& door : item.items) reading.doors.push_back(read_door(in, door));
    }
  }
}

/// Beside the main file, so that another configuration than the installed one has a key of its own.
std::string usual_key(std::span<const ConfigText> texts) {
  const auto main = std::find_if(texts.begin(), texts.end(),
                                 [](const ConfigText& text) { return text.part == ConfigText::Part::main; });
  return main == texts.end() ? Config{}.kn1.key : main->file.substr(0, main->file.rfind('/') + 1) + "kn1.key";
}

} // namespace
} // namespace knock::grammar

namespace knock {
namespace {

/// BLAKE2b. The length of each text goes along: what moves from one file to the next is another config.
std::string hash_of(std::span<const ConfigText> texts, bool of_users) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, crypto_generichash_BYTES);
  const auto add = [&](std::string_view text) {
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  };
  for (const auto& text : texts) {
    if (of_users != (text.part == ConfigText::Part::users || text.part == ConfigText::Part::keys)) continue;
    add(fmt::format("{} {}\n", static_cast<int>(text.part), text.text.size()));
    add(text.text);
  }
  std::array<unsigned char, crypto_generichash_BYTES> hash;
  crypto_generichash_final(&state, hash.data(), hash.size());
  std::string hex;
  for (const auto byte : hash) hex += fmt::format("{:02x}", byte);
  return hex;
}

} // namespace

ParsedConfig parse_config(std::span<const ConfigText> texts, const Outside& outside) {
  grammar::Reading reading;
  reading.out.texts.assign(texts.begin(), texts.end());
  auto& findings = reading.out.findings;
  grammar::Reader in(findings, outside.of_local);
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
    if (grammar::holds_secret(*tree, text.part)) reading.out.secret_files.push_back(text.file);
    grammar::read_tree(in, trees.emplace_back(std::move(*tree)), text.part, reading);
  }
  grammar::check_sections(in, reading.seen, reading.config);
  grammar::check_doors(in, reading.doors, reading.config.nft.mode);
  grammar::check_people(in, reading.people, reading.doors);
  if (with_gate) grammar::check_kn1_ports(in, reading.doors, reading.seen, reading.config);
  if (findings.empty()) grammar::fill_grants(in, reading.doors, reading.seen, reading.config, !with_gate);
  if (findings.empty()) grammar::cut_ranges(in, reading.doors);
  if (findings.empty()) grammar::fill_any(in, reading.doors, !with_gate);
  reading.out.state = reading.config.control.state;
  if (!reading.seen.contains("kn1.key")) reading.config.kn1.key = grammar::usual_key(texts);
  reading.out.key = reading.config.kn1.key;
  if (!findings.empty()) return std::move(reading.out);
  grammar::lint(findings, reading.config, reading.doors, with_gate, outside.seed);
  if (with_gate) grammar::lint_people(findings, reading.config, reading.people, reading.doors, outside.now);
  drop_accepted(findings, reading.config.check.accept);
  reading.config.users = grammar::merge_people(reading.people, !with_gate);
  for (auto& read : reading.doors) reading.config.doors.push_back(std::move(read.door));
  reading.config.hash = hash_of(texts, false);
  reading.config.users_hash = hash_of(texts, true);
  reading.out.config = std::move(reading.config);
  return std::move(reading.out);
}

const Door* enabled_door(const Config& config, std::string_view name) {
  const auto found = std::find_if(config.doors.begin(), config.doors.end(),
                                  [&](const Door& door) { return door.enabled && door.name == name; });
  return found == config.doors.end() ? nullptr : &*found;
}

std::size_t count_enabled(const Config& config) {
  return static_cast<std::size_t>(
      std::count_if(config.doors.begin(), config.doors.end(), [](const Door& door) { return door.enabled; }));
}

void drop_accepted(std::vector<Finding>& findings, const std::vector<std::string>& accept) {
  std::erase_if(findings, [&](const Finding& finding) {
    return std::find(accept.begin(), accept.end(), finding.name) != accept.end();
  });
}

std::string to_string(const Finding& finding) {
  std::string line = finding.place.file;
  if (finding.place.line != 0) line += fmt::format(":{}:{}", finding.place.line, finding.place.column);
  if (!line.empty()) line += ": ";
  line += finding.level == Finding::Level::error ? "error: " : "warning: ";
  line += finding.text;
  if (!finding.name.empty()) line += fmt::format(" [{}]", finding.name);
  return on_one_line(finding.advice.empty() ? line : line + "; " + finding.advice);
}

} // namespace knock
