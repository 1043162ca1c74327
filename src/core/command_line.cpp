// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/command_line.hpp>

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/nearest.hpp>
#include <knock/verb_parts.hpp>
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

struct Many {
  std::string_view name;
  std::vector<std::string> CommandLine::*field;
};

constexpr std::array kFlags{Flag{"--psk", &CommandLine::psk},
                            Flag{"--password", &CommandLine::password},
                            Flag{"--rotating", &CommandLine::rotating},
                            Flag{"--fwknop", &CommandLine::fwknop},
                            Flag{"--require-source", &CommandLine::require_source},
                            Flag{"--qr", &CommandLine::qr},
                            Flag{"--no-qr", &CommandLine::no_qr},
                            Flag{"--yes", &CommandLine::yes},
                            Flag{"--json", &CommandLine::json},
                            Flag{"--now", &CommandLine::now},
                            Flag{"--all", &CommandLine::all},
                            Flag{"--strict", &CommandLine::strict},
                            Flag{"--anyway", &CommandLine::anyway},
                            Flag{"--cut", &CommandLine::cut},
                            Flag{"--ids", &CommandLine::ids},
                            Flag{"--help", &CommandLine::help},
                            Flag{"-h", &CommandLine::help},
                            Flag{"--version", &CommandLine::version}};
constexpr std::array kMany{Many{"--door", &CommandLine::doors}, Many{"--host", &CommandLine::hosts}};
constexpr std::array kOptions{
    Option{"--until", &CommandLine::until},       Option{"--openings", &CommandLine::openings},
    Option{"--one-time", &CommandLine::one_time}, Option{"--clock", &CommandLine::clock},
    Option{"--grace", &CommandLine::grace},       Option{"--password-fd", &CommandLine::password_fd},
    Option{"--knock", &CommandLine::knock},       Option{"--socket", &CommandLine::socket},
    Option{"--config", &CommandLine::config},     Option{"--for", &CommandLine::for_time},
    Option{"--confirm", &CommandLine::confirm},   Option{"--timeout", &CommandLine::timeout}};

template<class Table>
const typename Table::value_type* named(const Table& table, std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& one) { return one.name == name; });
  return found == table.end() ? nullptr : &*found;
}

constexpr std::array<std::string_view, 3> kOfAnyVerb{"--json", "--socket", "--config"};

std::string spaced(std::string_view text) {
  return text.empty() ? std::string() : fmt::format(" {}", text);
}

/// `options` by name, as given; those of one verb, or of its part, stand in its usage.
std::optional<Failure> judge(const CommandLine& line, const std::vector<std::string_view>& options) {
  if (const auto* verb = find_verb(line.verb)) {
    const auto* part = line.words.empty() ? nullptr : find_part(line.verb, line.words.front());
    const auto usage = part != nullptr ? part->usage : verb->usage;
    const auto name = fmt::format("{}{}", verb->name, part != nullptr ? spaced(part->name) : "");
    std::string_view foreign;
    if (line.words.size() > verb->most_words) foreign = line.words.back();
    for (const auto option : options)
      if (std::find(kOfAnyVerb.begin(), kOfAnyVerb.end(), option) == kOfAnyVerb.end() &&
          usage.find(option) == std::string_view::npos)
        foreign = option;
    if (foreign.empty()) return std::nullopt;
    return usage_failure(fmt::format("{} takes no {}", name, foreign),
                         fmt::format("knockctl {}{}", name, spaced(usage)));
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

namespace {

void take_value(CommandLine& line, std::string_view name, std::string_view value) {
  if (const auto* option = named(kOptions, name))
    line.*option->field = value;
  else if (const auto* many = named(kMany, name))
    (line.*many->field).emplace_back(value);
}

} // namespace

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
    } else if (named(kOptions, name) != nullptr || named(kMany, name) != nullptr) {
      options.push_back(name);
      if (equals != std::string_view::npos)
        take_value(line, name, word.substr(equals + 1));
      else if (++i == arguments.size())
        parsed.failure = usage_failure(fmt::format("{} needs a value", word));
      else
        take_value(line, name, arguments[i]);
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
  const bool helps = line.help && (line.verb.empty() || find_verb(line.verb) != nullptr);
  if (!parsed.failure && !helps && !line.version) parsed.failure = judge(line, options);
  return parsed;
}

namespace {
constexpr std::size_t kUsageColumns = 41; // a longer one stands in the verb's own help
} // namespace

Failure misused_part(const CommandLine& line) {
  const auto word = line.words.empty() ? std::string_view() : std::string_view(line.words.front());
  if (const auto* part = find_part(line.verb, word))
    return usage_failure(fmt::format("usage: knockctl {} {}{}", part->verb, part->name, spaced(part->usage)),
                         fmt::format("for example: {}", part->example));
  std::vector<std::string_view> names;
  for (const auto& part : kVerbParts)
    if (part.verb == line.verb) names.push_back(part.name);
  const auto near = nearest(word, names);
  return usage_failure(
      word.empty() ? fmt::format("{} what?", line.verb) : fmt::format("{} takes no {}", line.verb, word),
      near.empty() ? fmt::format("one of: {}; knockctl {} --help", fmt::join(names, " "), line.verb)
                   : fmt::format("did you mean {}?", near));
}

namespace {

std::string help_of(const Verb& verb) {
  std::string usage, each;
  for (const auto& part : kVerbParts)
    if (part.verb == verb.name) {
      usage += fmt::format("{}knockctl {} {}{}\n", usage.empty() ? "usage: " : "       ", part.verb,
                           part.name, spaced(part.usage));
      each = fmt::format("knockctl {} {} --help shows another.\n", part.verb, part.name);
    }
  if (usage.empty()) usage = fmt::format("usage: knockctl {}{}\n", verb.name, spaced(verb.usage));
  return fmt::format("{}\n{}\n\nexample: {}\n{}", usage, verb.what, verb.example, each);
}

} // namespace

std::string help_text(std::string_view of, std::string_view part_name) {
  if (const auto* part = find_part(of, part_name))
    return fmt::format("usage: knockctl {} {}{}\n\n{}\n\nexample: {}\n", part->verb, part->name,
                       spaced(part->usage), part->what, part->example);
  if (const auto* verb = find_verb(of)) return help_of(*verb);
  std::string text = "knockctl: what is open, for whom, why not\n\nusage: knockctl [--socket PATH] [--config "
                     "FILE] [--json] VERB\n";
  for (const auto& verb : kVerbs)
    text += fmt::format(
        "  {:<{}}{}\n",
        fmt::format("{} {}", verb.name,
                    verb.name.size() + 1 + verb.usage.size() < kUsageColumns ? verb.usage : "..."),
        kUsageColumns, verb.what);
  return text +
         "\nreload guards a new port only with --confirm T (undone unless confirmed) or --now.\n"
         "--config FILE: the configuration that the daemon runs with, doors.d, users.d and kn1.key beside "
         "it;\n"
         "default /etc/knockgate/knockgate.toml.\n"
         "knockctl VERB --help shows an example.\n"
         "The socket is also taken from KNOCKGATE_SOCKET. Exit: 0 done, 1 failed or timed out,\n"
         "2 usage, 69 daemon not reachable, 75 busy, 77 not allowed, 78 bad config. See knockctl(1).\n";
}

} // namespace knock
