// SPDX-License-Identifier: GPL-2.0-or-later
/// Completion: what may stand where a shell completes a command line of knockctl.
///
/// In:  the words behind "knockctl", the last as far as it is typed; what is known of just now.   Out: words, sorted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/status.hpp>

namespace knock {

/// What the answer depends on; the rest of `Known` may be empty.
struct Live {
  bool grants = false, doors = false, people = false;
};
Live completes_live(std::span<const std::string_view> words);

struct Known {
  std::vector<StatusGrant> grants{};
  std::vector<std::string> doors{}, users{}, devices{}; ///< by name; devices as "alice/laptop"
};

/// Empty: nothing of ours, a file for example.
std::vector<std::string> completions(std::span<const std::string_view> words, const Known& known);

} // namespace knock
