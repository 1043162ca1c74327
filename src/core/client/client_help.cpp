// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_line.hpp>

#include <fmt/format.h>

#include <knock/client_verbs.hpp>

namespace knock::typed_line {
namespace {

std::string option_line(const ClientOption& option) {
  return fmt::format("  {:<18}{}\n", fmt::format("{} {}", option.name, option.value), option.what);
}

std::string help_of_verb(const ClientVerb& verb) {
  auto text = fmt::format("usage: knockgate {}{}{}\n\n{}\n\n", verb.name, verb.usage.empty() ? "" : " ",
                          verb.usage, verb.what);
  std::string options;
  for (const auto& option : kClientOptions)
    if (!option.of_any && takes(verb, option)) options += option_line(option);
  if (!options.empty()) text += options + "\n";
  return text + fmt::format("example: {}\n", verb.example);
}

} // namespace
} // namespace knock::typed_line

namespace knock {

std::string client_help(std::string_view of) {
  if (const auto* verb = find_client_verb(of)) return typed_line::help_of_verb(*verb);
  std::string text = "knockgate: open a door of a router, from here\n\nusage: knockgate [OPTION]... VERB\n";
  for (const auto& verb : kClientVerbs) text += fmt::format("  {:<10}{}\n", verb.name, verb.what);
  text += "\noptions of any verb:\n";
  for (const auto& option : kClientOptions)
    if (option.of_any) text += typed_line::option_line(option);
  return text +
         "\nHOST is a profile's name, or a host that a profile has.\n"
         "knockgate VERB --help shows its own options and an example.\n"
         "Exit: 0 done, 1 failed or nothing opened, 2 usage, 69 no address or no route, 77 not allowed,\n"
         "78 bad profile. See knockgate(1).\n";
}

} // namespace knock
