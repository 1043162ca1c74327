// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "client/profiles.hpp"
#include "client/verbs.hpp"

namespace knock::client {

int complete(std::span<const std::string_view> words) {
  const auto where = places();
  const auto profiles = where ? load_profiles(*where) : Profiles{};
  for (const auto& word : client_completions(words, profiles.sound)) fmt::print("{}\n", word);
  return 0;
}

} // namespace knock::client
