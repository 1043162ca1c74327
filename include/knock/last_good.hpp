// SPDX-License-Identifier: GPL-2.0-or-later
/// LastGood: the configuration that was applied last, as the texts it was read from. It runs when the files on disk
/// cannot be used, and a start guards no port that it does not guard.
///
/// In, out: the text of the state file `applied`: JSON.
/// Errors:  parse returns nothing for a text that is not ours.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/config_text.hpp>

namespace knock {

struct LastGood {
  std::string boot; ///< id of the boot in which it was applied
  std::vector<ConfigText> texts;
};

std::string encode_last_good(const LastGood& last);
std::optional<LastGood> parse_last_good(std::string_view text);

} // namespace knock
