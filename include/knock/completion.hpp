// SPDX-License-Identifier: GPL-2.0-or-later
/// Completion: what may stand where a shell completes a command line of knockctl.
///
/// In:  the words behind "knockctl", the last as far as it is typed; what is open; doors by name.   Out: words, sorted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/status.hpp>

namespace knock {

/// Whether the answer depends on what is open. Else `grants` may be empty: the daemon needs not be asked.
bool completes_live(std::span<const std::string_view> words);

/// Empty: nothing of ours, a file for example.
std::vector<std::string> completions(std::span<const std::string_view> words,
                                     std::span<const StatusGrant> grants, std::span<const std::string> doors);

} // namespace knock
