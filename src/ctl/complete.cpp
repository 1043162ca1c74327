// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <fmt/format.h>

#include <knock/completion.hpp>

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"
#include "ctl/users_of.hpp"
#include "system/files.hpp"

namespace knock::ctl {

namespace {

/// To who may see them: root by the files, which need no daemon, group knockgate by what the daemon tells.
void add_people(const CommandLine& given, const ParsedConfig& parsed, Millis patience, Known& known) {
  const auto users = parsed.config ? report_of(*parsed.config, {})
                                   : users_of(given, patience).value_or(std::vector<UserReport>{});
  for (const auto& user : users) {
    known.users.push_back(user.user);
    for (const auto& device : user.devices) known.devices.push_back(device.device);
  }
}

} // namespace

int complete(std::span<const std::string_view> words) {
  constexpr Millis kPatience{500}; // a user waits at the prompt
  Known known;
  const CommandLine given;
  const auto live = completes_live(words);
  if (live.grants)
    if (const auto status = status_of(ask(socket_of(given), {"status", {}}, kPatience)))
      known.grants = status->grants;
  // Unreadable: none is named.
  const auto parsed = live.doors || live.people ? system::load_config(config_of(given)) : ParsedConfig{};
  if (parsed.config)
    for (const auto& door : parsed.config->doors)
      if (door.enabled) known.doors.push_back(door.name);
  if (live.people) add_people(given, parsed, kPatience, known);
  for (const auto& word : completions(words, known)) fmt::print("{}\n", word);
  return 0;
}

} // namespace knock::ctl
