// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/command_line.hpp>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <knock/nearest.hpp>
#include <knock/verbs.hpp>

namespace knock {
namespace {

struct Flag {
  std::string_view name;
  bool CommandLine::*field;
};
struct Option {
  std::string_view name;
  std::optional<std::string> CommandLine::*field;
};

constexpr std::array kFlags{Flag{"--json", &CommandLine::json},     Flag{"--now", &CommandLine::now},
                            Flag{"--all", &CommandLine::all},       Flag{"--strict", &CommandLine::strict},
                            Flag{"--anyway", &CommandLine::anyway}, Flag{"--cut", &CommandLine::cut},
                            Flag{"--ids", &CommandLine::ids},       Flag{"--help", &CommandLine::help},
                            Flag{"-h", &CommandLine::help},         Flag{"--version", &CommandLine::version}};
constexpr std::array kOptions{
    Option{"--socket", &CommandLine::socket}, Option{"--config", &CommandLine::config},
    Option{"--for", &CommandLine::for_time}, Option{"--confirm", &CommandLine::confirm},
    Option{"--timeout", &CommandLine::timeout}};

template<class Table>
const typename Table::value_type* named(const Table& table, std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& one) { return one.name == name; });
  return found == table.end() ? nullptr : &*found;
}

constexpr std::array<std::string_view, 3> kOfAnyVerb{"--json", "--socket", "--config"};

/// `options` by name, as given; those of one verb stand in its usage.
std::optional<Failure> judge(const CommandLine& line, const std::vector<std::string_view>& options) {
  if (const auto* verb = find_verb(line.verb)) {
    std::string_view foreign;
    if (line.words.size() > verb->most_words) foreign = line.words.back();
    for (const auto option : options)
      if (std::find(kOfAnyVerb.begin(), kOfAnyVerb.end(), option) == kOfAnyVerb.end() &&
          verb->usage.find(option) == std::string_view::npos)
        foreign = option;
    if (foreign.empty()) return std::nullopt;
    return usage_failure(
        fmt::format("{} takes no {}", verb->name, foreign),
        fmt::format("knockctl {}{}{}", verb->name, verb->usage.empty() ? "" : " ", verb->usage));
  }
  std::vector<std::string_view> names;
  for (const auto& verb : kVerbs) names.push_back(verb.name);
  const auto near = nearest(line.verb, names);
  return usage_failure("unknown verb " + line.verb,
                       near.empty() ? "see: knockctl --help" : fmt::format("did you mean {}?", near));
}

} // namespace

Failure usage_failure(std::string text, std::string advice) {
  return {ExitCode::usage, "usage", {}, std::move(text), std::move(advice)};
}

ParsedCommandLine parse_command_line(std::span<const char* const> arguments) {
  ParsedCommandLine parsed;
  auto& line = parsed.line;
  bool verb_seen = false;
  std::vector<std::string_view> options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    const auto equals = word.starts_with("--") ? word.find('=') : std::string_view::npos;
    const auto name = word.substr(0, equals);
    if (const auto* flag = named(kFlags, name)) {
      options.push_back(name);
      line.*flag->field = true;
      if (equals != std::string_view::npos)
        parsed.failure = usage_failure(fmt::format("{} takes no value", name));
    } else if (const auto* option = named(kOptions, name)) {
      options.push_back(name);
      if (equals != std::string_view::npos)
        line.*option->field = word.substr(equals + 1);
      else if (++i == arguments.size())
        parsed.failure = usage_failure(fmt::format("{} needs a value", word));
      else
        line.*option->field = arguments[i];
    } else if (word.starts_with('-')) {
      parsed.failure = usage_failure(fmt::format("unknown option {}", word));
    } else if (!verb_seen) {
      line.verb = word;
      verb_seen = true;
    } else {
      line.words.emplace_back(word);
    }
  }
  if (line.help && !verb_seen) line.verb.clear();
  if (!parsed.failure && !line.help && !line.version) parsed.failure = judge(line, options);
  return parsed;
}

std::string help_text(std::string_view of) {
  if (const auto* verb = find_verb(of))
    return fmt::format("usage: knockctl {}{}{}\n\n{}\n\nexample: {}\n", verb->name,
                       verb->usage.empty() ? "" : " ", verb->usage, verb->what, verb->example);
  std::string text = "knockctl: what is open, for whom, why not\n\nusage: knockctl [--socket PATH] [--config "
                     "FILE] [--json] VERB\n";
  for (const auto& verb : kVerbs)
    text += fmt::format("  {:<41}{}\n", fmt::format("{} {}", verb.name, verb.usage), verb.what);
  return text +
         "\nreload guards a new port only with --confirm T (undone unless confirmed) or --now.\n"
         "--config: what check and template read, and save (so do reload, confirm, off and on as root),\n"
         "default /etc/knockgate/knockgate.toml.\n"
         "knockctl VERB --help shows an example.\n"
         "The socket is also taken from KNOCKGATE_SOCKET. Exit: 0 done, 1 failed or timed out,\n"
         "2 usage, 69 daemon not reachable, 75 busy, 77 not allowed, 78 bad config. See knockctl(1).\n";
}

} // namespace knock
