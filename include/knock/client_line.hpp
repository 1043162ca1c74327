// SPDX-License-Identifier: GPL-2.0-or-later
/// Client line: the command line of knockgate, its help and its completion.
///
/// In:     words.   Out: what is wanted, or a usage failure (exit 2).
/// Source: knockgate(1); the verbs and their help stand in one table.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/control.hpp>
#include <knock/profile.hpp>
#include <knock/time.hpp>

namespace knock {

struct ClientLine {
  std::string verb;                              ///< empty: none was typed with --help
  std::vector<std::string> words;                ///< behind the verb
  std::vector<std::string> command;              ///< behind `--`, keep alone
  std::optional<std::string> profile, name, key; ///< --profile N, --name N, --key FILE
  std::optional<int> key_fd, password_fd, args_fd;
  std::optional<Millis> open_for; ///< --for, whole seconds
  std::optional<Address> for_address;
  Millis timeout{10'000};            ///< 1 s to 10 min
  std::optional<unsigned> spacing;   ///< -d MS of knock, 0 to 10,000
  bool only4 = false, only6 = false; ///< -4, -6
  bool icmp = false, no_probe = false, ssh = false;
  bool json = false, verbose = false, help = false, version = false;
};

/// `json` of a refused line is still right. Hosts and doors are checked here: [A-Za-z0-9._:%-], no - in front, at most
/// 253 bytes; a port is 1 to 65535. A word that is a line (KNOCKGATE:) with a secret is refused, join takes an invite.
struct ParsedClientLine {
  ClientLine line;
  std::optional<Failure> failure;
};
ParsedClientLine parse_client_line(std::span<const char* const> arguments);

/// Of one verb, with an example; of all where there is no such verb.
std::string client_help(std::string_view verb = {});

/// What may stand in place of the last word, sorted; `profiles` is what this user has.
std::vector<std::string> client_completions(std::span<const std::string_view> words,
                                            std::span<const Profile> profiles);

} // namespace knock
