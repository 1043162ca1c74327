// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completion.hpp>

#include <algorithm>
#include <array>
#include <set>

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
  constexpr std::array<std::string_view, 5> kValued{"--socket", "--config", "--for", "--confirm",
                                                    "--timeout"};
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
  return !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == word.npos;
}

bool means(const StatusGrant& grant, std::string_view what) {
  return grant.door == what || std::to_string(grant.id) == what;
}

} // namespace

bool completes_live(std::span<const std::string_view> words) {
  const auto line = typed(words);
  return line.verb != nullptr && (line.verb->name == "open" || line.verb->name == "close") &&
         !is_option(line.begun) && !takes_value(line.before);
}

std::vector<std::string> completions(std::span<const std::string_view> words,
                                     std::span<const StatusGrant> grants,
                                     std::span<const std::string> doors) {
  const auto line = typed(words);
  Words found;
  if (takes_value(line.before)) {
    return {};
  } else if (line.begun.starts_with('-')) {
    found.insert(kGeneral.begin(), kGeneral.end());
    if (line.verb != nullptr) take_from(line.verb->usage, found, is_option);
  } else if (line.verb == nullptr) {
    for (const auto& verb : kVerbs) found.emplace(verb.name);
  } else if (line.words.size() >= line.verb->most_words) {
    return {};
  } else if (completes_live(words)) {
    const bool closes = line.verb->name == "close";
    if (line.words.empty() && !closes) found.insert(doors.begin(), doors.end());
    for (const auto& grant : grants)
      if (line.words.empty() && closes)
        found.insert({grant.door, std::to_string(grant.id)});
      else if (!line.words.empty() && (!closes || means(grant, line.words[0])))
        found.insert(grant.source);
  } else {
    take_from(line.verb->usage, found, is_literal);
  }
  std::erase_if(found, [&](const std::string& word) { return !word.starts_with(line.begun); });
  return {found.begin(), found.end()};
}

} // namespace knock
