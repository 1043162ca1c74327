// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completion.hpp>

#include <algorithm>
#include <array>
#include <set>

#include <knock/verb_parts.hpp>
#include <knock/verbs.hpp>

namespace knock {
namespace {

using Words = std::set<std::string>;

constexpr std::array<std::string_view, 5> kGeneral{"--json", "--help", "--socket", "--config", "--version"};

/// A line as it is typed: what stands before the word in question.
struct Typed {
  const Verb* verb = nullptr;
  std::vector<std::string_view> words; ///< behind the verb
  std::string_view before;             ///< the word before
  std::string_view begun;
};

bool takes_value(std::string_view option) {
  constexpr std::array<std::string_view, 14> kValued{
      "--socket", "--config",   "--for",      "--confirm", "--timeout", "--door",        "--host",
      "--until",  "--openings", "--one-time", "--clock",   "--grace",   "--password-fd", "--knock"};
  return std::find(kValued.begin(), kValued.end(), option) != kValued.end();
}

Typed typed(std::span<const std::string_view> words) {
  Typed line;
  if (words.empty()) return line;
  line.begun = words.back();
  for (const auto word : words.first(words.size() - 1)) {
    const bool value = takes_value(line.before);
    line.before = word;
    if (value || word.starts_with('-')) continue;
    if (line.verb == nullptr)
      line.verb = find_verb(word);
    else
      line.words.push_back(word);
  }
  return line;
}

/// The words of a usage that begin like `begin`: "--for", "gate".
template<class Wanted>
void take_from(std::string_view usage, Words& found, Wanted wanted) {
  while (!usage.empty()) {
    const auto end = std::min(usage.find_first_of(" []|"), usage.size());
    if (const auto word = usage.substr(0, end); wanted(word)) found.emplace(word);
    usage.remove_prefix(std::min(end + 1, usage.size()));
  }
}

bool is_option(std::string_view word) {
  return word.starts_with("--");
}

bool is_literal(std::string_view word) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view kBehind = "abcdefghijklmnopqrstuvwxyz0123456789"; // "kn1", not "10s"
  return !word.empty() && kLetters.find(word.front()) != word.npos &&
         word.find_first_not_of(kBehind) == word.npos;
}

bool names_door(std::string_view option) {
  return option == "--door" || option == "--knock";
}

bool means(const StatusGrant& grant, std::string_view what) {
  return grant.door == what || std::to_string(grant.id) == what;
}

} // namespace

Live completes_live(std::span<const std::string_view> words) {
  const auto line = typed(words);
  Live live;
  if (line.verb == nullptr || is_option(line.begun)) return live;
  if (takes_value(line.before)) {
    live.doors = names_door(line.before);
    return live;
  }
  const auto name = line.verb->name;
  const auto count = line.words.size();
  live.doors = name == "open" && count == 0;
  live.grants = (name == "open" || name == "close") && count < line.verb->most_words;
  live.people = (name == "invite" && count == 0) || ((name == "user" || name == "device") && count == 1);
  return live;
}

namespace {

void take_people(const Typed& line, const Known& known, Words& found) {
  const auto part = line.words.empty() ? std::string_view() : line.words[0];
  const auto name = line.verb->name;
  if (name == "invite" || part == "list" || (name == "user" && (part == "show" || part == "remove")))
    found.insert(known.users.begin(), known.users.end());
  else if (name == "device" && (part == "remove" || part == "rotate" || part == "line"))
    found.insert(known.devices.begin(), known.devices.end());
  if (name == "user" && part == "list") found.clear();
}

void take_grants(const Typed& line, const Known& known, Words& found) {
  const bool closes = line.verb->name == "close";
  for (const auto& grant : known.grants)
    if (line.words.empty() && closes)
      found.insert({grant.door, std::to_string(grant.id)});
    else if (!line.words.empty() && (!closes || means(grant, line.words[0])))
      found.insert(grant.source);
}

} // namespace

std::vector<std::string> completions(std::span<const std::string_view> words, const Known& known) {
  const auto line = typed(words);
  const auto live = completes_live(words);
  Words found;
  if (live.doors) found.insert(known.doors.begin(), known.doors.end());
  if (live.people) take_people(line, known, found);
  if (live.grants) take_grants(line, known, found);
  if (live.doors || live.people || live.grants || takes_value(line.before)) {
    // Nothing but names stands here.
  } else if (line.begun.starts_with('-')) {
    found.insert(kGeneral.begin(), kGeneral.end());
    const auto* part =
        line.verb == nullptr || line.words.empty() ? nullptr : find_part(line.verb->name, line.words[0]);
    if (line.verb != nullptr) take_from(part != nullptr ? part->usage : line.verb->usage, found, is_option);
  } else if (line.verb == nullptr) {
    for (const auto& verb : kVerbs) found.emplace(verb.name);
  } else if (line.words.empty()) {
    take_from(line.verb->usage, found, is_literal);
  }
  std::erase_if(found, [&](const std::string& word) { return !word.starts_with(line.begun); });
  return {found.begin(), found.end()};
}

} // namespace knock
