// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <fmt/format.h>

#include <knock/completion.hpp>

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"
#include "system/files.hpp"

namespace knock::ctl {

int complete(std::span<const std::string_view> words) {
  constexpr Millis kPatience{500}; // a user waits at the prompt
  std::vector<StatusGrant> grants;
  std::vector<std::string> doors;
  if (completes_live(words)) {
    const CommandLine given;
    if (const auto status = status_of(ask(socket_of(given), {"status", {}}, kPatience)))
      grants = status->grants;
    const auto parsed = system::load_config(config_of(given)); // unreadable: none is named
    if (parsed.config)
      for (const auto& door : parsed.config->doors)
        if (door.enabled) doors.push_back(door.name);
  }
  for (const auto& word : completions(words, grants, doors)) fmt::print("{}\n", word);
  return 0;
}

} // namespace knock::ctl
