// SPDX-License-Identifier: GPL-2.0-or-later
/// Command line of knockctl: words in, what is wanted out.
///
/// Source: knockctl(1); the verbs and their help stand in one table (verbs.hpp).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include <knock/control.hpp>

namespace knock {

struct CommandLine {
  std::string verb = "status";    ///< empty: none was typed with --help
  std::vector<std::string> words; ///< behind the verb, at most as many as it takes
  std::optional<std::string> socket, config, for_time, confirm, timeout;
  std::optional<std::string> until, openings, one_time, clock, grace, password_fd, knock;
  std::vector<std::string> doors, hosts;
  bool psk = false, password = false, rotating = false, fwknop = false, require_source = false;
  bool qr = false, no_qr = false;
  bool yes = false;
  bool json = false, now = false, all = false, strict = false, anyway = false, cut = false, ids = false;
  bool help = false, version = false;
};

/// Exit 2 and what to type instead.
Failure usage_failure(std::string text, std::string advice = "see: knockctl --help");

/// `json` of a refused line is still right, so that the refusal can be told as asked.
struct ParsedCommandLine {
  CommandLine line;
  std::optional<Failure> failure;
};
ParsedCommandLine parse_command_line(std::span<const char* const> arguments);

/// Of one verb, or of one part of it, with an example; of all when there is no such verb.
std::string help_text(std::string_view verb = {}, std::string_view part = {});
/// What to type instead, where a verb with parts (verb_parts.hpp) can make nothing of the words behind it.
Failure misused_part(const CommandLine& line);

} // namespace knock
