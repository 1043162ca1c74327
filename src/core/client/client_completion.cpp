// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_line.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include <knock/client_verbs.hpp>

namespace knock::typed_line {
namespace {

using Proposed = std::set<std::string>;

/// A line as it is typed: what stands before the word in question.
struct Begun {
  bool verb_seen = false;
  const ClientVerb* verb = nullptr;      ///< null: none yet, or none of ours
  std::vector<std::string_view> words;   ///< behind the verb
  std::string_view profile;              ///< of --profile
  const ClientOption* waiting = nullptr; ///< for its value, which is the word in question
  bool commands = false;                 ///< behind --: a command of its own
};

Begun begun_line(std::span<const std::string_view> before) {
  Begun line;
  for (const auto word : before) {
    const auto* option = std::exchange(line.waiting, nullptr);
    if (option != nullptr) {
      if (option->name == "--profile") line.profile = word;
    } else if (word == "--") {
      line.commands = true;
      return line;
    } else if (word.starts_with("--profile=")) {
      line.profile = word.substr(word.find('=') + 1);
    } else if (word.size() > 1 && word.starts_with('-')) {
      const auto* known = find_client_option(word);
      line.waiting = known != nullptr && !known->value.empty() ? known : nullptr;
    } else if (!std::exchange(line.verb_seen, true)) {
      line.verb = find_client_verb(word);
    } else {
      line.words.push_back(word);
    }
  }
  return line;
}

/// Those that are meant: the one named by --profile, or by the host that is typed.
std::vector<const Profile*> meant_profiles(const Begun& line, std::span<const Profile> profiles) {
  std::vector<const Profile*> meant;
  const bool named = !line.profile.empty();
  for (const auto& profile : profiles)
    if (named && profile.name == line.profile) meant.push_back(&profile);
  if (named || line.words.empty()) return meant;
  if (const auto found = find_profile(profiles, line.words.front())) meant.push_back(*found);
  return meant;
}

void propose_hosts(bool names, std::span<const Profile> profiles, Proposed& found) {
  for (const auto& profile : profiles) {
    if (names) found.insert(profile.name);
    found.insert(profile.hosts.begin(), profile.hosts.end());
    for (const auto& door : profile.doors) found.insert(door.at.begin(), door.at.end());
  }
}

void propose_doors(const Profile& profile, ClientWord what, Proposed& found) {
  for (const auto& door : profile.doors) {
    if (what == ClientWord::door) found.insert(door.name);
    if (what != ClientWord::port) continue;
    for (const auto& range : door.ports)
      if (range.first == range.last && range.first.protocol == Protocol::tcp)
        found.insert(std::to_string(range.first.number));
  }
}

void propose_words(const Begun& line, std::span<const Profile> profiles, Proposed& found) {
  const auto at = line.words.size();
  if (at >= line.verb->most_words) return;
  const auto what = line.verb->words[std::min(at, line.verb->words.size() - 1)];
  if (what == ClientWord::host) propose_hosts(line.verb->name != "knock", profiles, found);
  if (what == ClientWord::door || what == ClientWord::port)
    for (const auto* profile : meant_profiles(line, profiles)) propose_doors(*profile, what, found);
}

} // namespace
} // namespace knock::typed_line

namespace knock {

std::vector<std::string> client_completions(std::span<const std::string_view> words,
                                            std::span<const Profile> profiles) {
  if (words.empty()) return {};
  const auto begun = words.back();
  const auto line = typed_line::begun_line(words.first(words.size() - 1));
  typed_line::Proposed found;
  if (line.commands) {
    // A command, or words that nothing is known of.
  } else if (line.waiting != nullptr) {
    if (line.waiting->name == "--profile")
      for (const auto& profile : profiles) found.insert(profile.name);
  } else if (begun.starts_with('-')) {
    for (const auto& option : kClientOptions)
      if (line.verb != nullptr ? takes(*line.verb, option) : option.of_any) found.emplace(option.name);
  } else if (line.verb != nullptr) {
    typed_line::propose_words(line, profiles, found);
  } else if (!line.verb_seen) {
    for (const auto& verb : kClientVerbs) found.emplace(verb.name);
  }
  std::erase_if(found, [&](const std::string& word) { return !word.starts_with(begun); });
  return {found.begin(), found.end()};
}

} // namespace knock
