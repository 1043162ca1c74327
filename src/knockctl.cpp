// SPDX-License-Identifier: GPL-2.0-or-later
// knockctl: what is open, for which source, why not; and what an admin does by hand.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <knock/verbs.hpp>

#include "ctl/show.hpp"
#include "ctl/verbs.hpp"
#include "host/host_check.hpp"

namespace {

using namespace knock;

struct Run {
  std::string_view verb;
  int (*run)(const CommandLine&);
};
constexpr std::array kRuns{
    Run{"status", [](const CommandLine& given) { return ctl::status(given, host::check_host); }},
    Run{"wait", ctl::wait},
    Run{"open", ctl::open},
    Run{"close", ctl::close},
    Run{"reload", ctl::reload},
    Run{"confirm", ctl::confirm},
    Run{"off", ctl::off_on},
    Run{"on", ctl::off_on},
    Run{"save", ctl::save},
    Run{"user", ctl::user},
    Run{"device", ctl::device},
    Run{"invite", ctl::invite},
    Run{"key", ctl::key},
    Run{"clock", ctl::clock},
    Run{"replay", ctl::replay},
    Run{"template", ctl::print_template},
    Run{"check", [](const CommandLine& given) { return ctl::check(given, host::check_host); }}};

constexpr const Run* run_of(std::string_view verb) {
  const auto* found =
      std::find_if(kRuns.begin(), kRuns.end(), [&](const Run& one) { return one.verb == verb; });
  return found == kRuns.end() ? nullptr : found;
}
static_assert(std::all_of(kVerbs.begin(), kVerbs.end(), [](const Verb& verb) { return run_of(verb.name); }));

} // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "complete") { // for completions alone: half a word is no error
    const std::vector<std::string_view> words(argv + 2, argv + argc);
    return ctl::complete(words);
  }
  const auto parsed = parse_command_line({argv + 1, static_cast<std::size_t>(std::max(argc, 1) - 1)});
  const auto& given = parsed.line;
  if (given.help)
    return fmt::print("{}", help_text(given.verb, given.words.empty() ? std::string_view() : given.words[0])),
           0;
  if (given.version) return fmt::print("knockctl {}\n", KNOCKGATE_VERSION), 0;
  if (parsed.failure) return ctl::fail(given, *parsed.failure);
  return run_of(given.verb)->run(given);
}
