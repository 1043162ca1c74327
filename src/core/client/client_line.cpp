// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_line.hpp>

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/client_verbs.hpp>
#include <knock/command_line.hpp>
#include <knock/config.hpp>
#include <knock/limits.hpp>
#include <knock/nearest.hpp>

#include "core/client/profile_parts.hpp"
#include "core/config/words.hpp"

namespace knock::typed_line {
namespace {

using grammar::in_quotes;
using Fault = std::optional<Failure>;

constexpr Span kTimeout{Seconds{1}, std::chrono::minutes{10}};
constexpr std::uint64_t kMostSpacing = 10'000; // ms
constexpr auto kSeeHelp = "see: knockgate --help";

std::string usage_of(const ClientVerb& verb) {
  return fmt::format("knockgate {}{}{}", verb.name, verb.usage.empty() ? "" : " ", verb.usage);
}

// ---- lines in the place of words

/// KNOCKGATE: in front, blanks and case aside: whatever follows, it is no name, and may be a key.
bool begins_line(std::string_view text) {
  constexpr std::string_view kPrefix = "knockgate:";
  std::size_t met = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower != kPrefix[met++]) return false;
    if (met == kPrefix.size()) return true;
  }
  return false;
}

Failure secret_failure() {
  return usage_failure("this line is a key: an argument is shown by ps and kept by the shell's history",
                       "run knockgate join and paste it");
}

/// A line as one argument, or pasted without quotes: then in all that follow.
tl::expected<Line, LineFault> line_in(std::span<const char* const> arguments, std::string_view first) {
  auto line = parse_line(first);
  if (line || arguments.size() < 2) return line;
  Sensitive all;
  std::size_t size = first.size();
  for (const std::string_view more : arguments.subspan(1)) size += more.size();
  all.text.reserve(size);
  all.text = first;
  for (const std::string_view more : arguments.subspan(1)) all.text += more;
  auto longer = parse_line(all.text);
  return longer ? longer : line;
}

/// What is wrong with a line among the arguments; none of it is shown.
Fault fault_of_lines(std::span<const char* const> arguments, const ClientLine& typed) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view text = arguments[i];
    if (text.starts_with("--")) text.remove_prefix(std::min(text.find('='), text.size() - 1) + 1);
    if (!begins_line(text)) continue;
    const auto line = line_in(arguments.subspan(i), text);
    if (line && line->kind != LineKind::invite) return secret_failure();
    const bool joins = typed.verb == "join" && typed.words.size() == 1 && text == typed.words.front();
    if (!joins) return usage_failure("a line stands alone behind join", "run knockgate join and paste it");
    if (!line) return failure_of(line.error());
  }
  return std::nullopt;
}

// ---- values of options

tl::unexpected<Failure> no_value(std::string_view option, std::string_view value, std::string_view advice) {
  return tl::unexpected(
      usage_failure(fmt::format("{} takes no {}", option, in_quotes(value)), std::string(advice)));
}

using Taken = tl::expected<void, Failure>;

Taken take_span(std::string_view option, std::string_view value, const Span& allowed, Millis& out) {
  const auto span = parse_duration(value);
  const bool whole = span && (option != "--for" || *span % Seconds{1} == Millis{0});
  if (!span || !whole || *span < allowed.least || *span > allowed.most)
    return no_value(option, value,
                    fmt::format("{} {} to {}, like 30s or 5m", option, grammar::duration_text(allowed.least),
                                grammar::duration_text(allowed.most)));
  out = *span;
  return {};
}

Taken take_descriptor(std::string_view option, std::string_view value, std::optional<int>& out) {
  const auto number = grammar::parse_count(value);
  if (!number)
    return no_value(option, value, fmt::format("the number of an open descriptor: {} 3 3<FILE", option));
  out = static_cast<int>(*number);
  return {};
}

Taken take_name(std::string_view option, std::string_view value, std::optional<std::string>& out) {
  if (!is_profile_name(value))
    return no_value(option, value, "a profile's name is 1 to 31 of a to z, 0 to 9 and -, no - first");
  out = value;
  return {};
}

Taken take_spacing(std::string_view option, std::string_view value, std::optional<unsigned>& out) {
  const auto number = grammar::parse_count(value);
  if (!number || *number > kMostSpacing) return no_value(option, value, "-d 0 to 10000, in milliseconds");
  out = static_cast<unsigned>(*number);
  return {};
}

Taken take_value_of(std::string_view option, std::string_view value, ClientLine& line) {
  if (option == "--timeout") return take_span(option, value, kTimeout, line.timeout);
  if (option == "--for") return take_span(option, value, kOpenFor, line.open_for.emplace());
  if (option == "--profile") return take_name(option, value, line.profile);
  if (option == "--name") return take_name(option, value, line.name);
  if (option == "--key-fd") return take_descriptor(option, value, line.key_fd);
  if (option == "--password-fd") return take_descriptor(option, value, line.password_fd);
  if (option == "--args-fd") return take_descriptor(option, value, line.args_fd);
  if (option == "-d") return take_spacing(option, value, line.spacing);
  if (option == "--for-address") {
    line.for_address = parse_address(value);
    if (!line.for_address) return no_value(option, value, "an address like 203.0.113.9 or 2001:db8::9");
  } else if (option == "--key") {
    if (value.empty()) return no_value(option, value, "the path of a key file");
    line.key = value;
  }
  return {};
}

struct TypedFlag {
  std::string_view name;
  bool ClientLine::*field;
};
constexpr std::array kTypedFlags{TypedFlag{"-4", &ClientLine::only4},
                                 TypedFlag{"-6", &ClientLine::only6},
                                 TypedFlag{"-v", &ClientLine::verbose},
                                 TypedFlag{"-h", &ClientLine::help},
                                 TypedFlag{"--help", &ClientLine::help},
                                 TypedFlag{"--version", &ClientLine::version},
                                 TypedFlag{"--json", &ClientLine::json},
                                 TypedFlag{"--icmp", &ClientLine::icmp},
                                 TypedFlag{"--no-probe", &ClientLine::no_probe},
                                 TypedFlag{"--ssh", &ClientLine::ssh}};

// ---- words and options, one by one

Failure unknown_option(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& option : kClientOptions) names.push_back(option.name);
  const auto near = nearest(name, names);
  return usage_failure(fmt::format("unknown option {}", in_quotes(name)),
                       near.empty() ? kSeeHelp : fmt::format("did you mean {}?", near));
}

/// What is typed, taken word by word; the first thing wrong is what is told.
struct Typist {
  ClientLine line;
  Fault fault;
  std::vector<const ClientOption*> options;
  bool verb_seen = false;
  bool all_words = false; ///< behind --

  void wrong(Failure failure) {
    if (!fault) fault = std::move(failure);
  }
  void take_word(std::string_view word) {
    if (verb_seen)
      line.words.emplace_back(word);
    else
      line.verb = word;
    verb_seen = true;
  }
  /// Returns whether it took the argument behind it, too.
  bool take_option(std::string_view word, std::span<const char* const> behind) {
    const auto equals = word.starts_with("--") ? word.find('=') : word.npos;
    const bool within = equals != word.npos;
    const auto* option = find_client_option(word.substr(0, equals));
    if (option == nullptr) {
      wrong(unknown_option(word.substr(0, equals)));
      return false;
    }
    options.push_back(option);
    if (option->value.empty()) {
      for (const auto& flag : kTypedFlags)
        if (flag.name == option->name) line.*flag.field = true;
      if (within) wrong(usage_failure(fmt::format("{} takes no value", option->name), kSeeHelp));
      return false;
    }
    if (!within && behind.empty()) {
      wrong(usage_failure(fmt::format("{} needs a value", option->name),
                          fmt::format("{} {}: {}", option->name, option->value, option->what)));
      return false;
    }
    const auto value = within ? word.substr(equals + 1) : std::string_view(behind.front());
    if (auto taken = take_value_of(option->name, value, line); !taken) wrong(std::move(taken.error()));
    return !within;
  }
  void take_command(std::span<const char* const> behind) {
    line.command.assign(behind.begin(), behind.end());
    if (behind.empty())
      wrong(usage_failure("-- needs a command behind it", usage_of(*find_client_verb("keep"))));
  }
  void take(std::span<const char* const> arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string_view word = arguments[i];
      const auto behind = arguments.subspan(i + 1);
      if (all_words || word.size() < 2 || !word.starts_with('-'))
        take_word(word);
      else if (word == "--" && line.verb == "keep")
        return take_command(behind);
      else if (word == "--")
        all_words = true;
      else if (take_option(word, behind))
        ++i;
    }
  }
};

// ---- the whole of it

Fault fault_of_word(ClientWord what, std::string_view word) {
  switch (what) {
  case ClientWord::host:
    if (profiles::is_client_host(word)) return std::nullopt;
    return usage_failure(fmt::format("{} is no name or address of a host", in_quotes(word)),
                         "a host is like router.example, without https://");
  case ClientWord::door:
    if (profiles::is_client_host(word)) return std::nullopt;
    return usage_failure(fmt::format("{} is no name of a door", in_quotes(word)),
                         "knockgate list shows them");
  case ClientWord::port: {
    const auto number = grammar::parse_count(word);
    if (number && *number >= 1 && *number <= 65'535) return std::nullopt;
    return usage_failure(fmt::format("{} is no port", in_quotes(word)), "write 1 to 65535");
  }
  default: return std::nullopt;
  }
}

Failure unknown_verb(std::string_view typed) {
  std::vector<std::string_view> names;
  for (const auto& verb : kClientVerbs) names.push_back(verb.name);
  const auto list = fmt::format("one of: {}; {}", fmt::join(names, " "), kSeeHelp);
  if (typed.empty()) return usage_failure("knockgate needs a verb", list);
  const auto near = nearest(typed, names);
  return usage_failure(fmt::format("unknown verb {}", in_quotes(typed)),
                       near.empty() ? list : fmt::format("did you mean {}?", near));
}

Fault judge_typed(const Typist& typist) {
  const auto& line = typist.line;
  const auto* verb = find_client_verb(line.verb);
  if (verb == nullptr) return unknown_verb(line.verb);
  for (const auto* option : typist.options)
    if (!takes(*verb, *option))
      return usage_failure(fmt::format("{} takes no {}", verb->name, option->name), usage_of(*verb));
  if (line.words.size() < verb->least_words)
    return usage_failure(fmt::format("{} needs more: {}", verb->name, usage_of(*verb)),
                         fmt::format("for example: {}", verb->example));
  if (line.words.size() > verb->most_words)
    return usage_failure(fmt::format("{} takes no {}", verb->name, in_quotes(line.words[verb->most_words])),
                         usage_of(*verb));
  for (std::size_t i = 0; i < line.words.size(); ++i)
    if (auto fault = fault_of_word(verb->words[std::min(i, verb->words.size() - 1)], line.words[i]))
      return fault;
  if (line.only4 && line.only6)
    return usage_failure("-4 does not go with -6", "write one of them, or neither");
  if (line.key && line.key_fd) return usage_failure("--key does not go with --key-fd", "write one of them");
  return std::nullopt;
}

} // namespace
} // namespace knock::typed_line

namespace knock {

ParsedClientLine parse_client_line(std::span<const char* const> arguments) {
  typed_line::Typist typist;
  typist.take(arguments);
  ParsedClientLine parsed;
  parsed.failure = typed_line::fault_of_lines(arguments, typist.line);
  if (!parsed.failure) parsed.failure = std::move(typist.fault);
  if (!parsed.failure && !typist.line.help && !typist.line.version)
    parsed.failure = typed_line::judge_typed(typist);
  parsed.line = std::move(typist.line);
  return parsed;
}

} // namespace knock
