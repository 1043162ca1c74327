// SPDX-License-Identifier: GPL-2.0-or-later
/// Nearest: the word that a mistyped one probably meant.
#pragma once

#include <span>
#include <string_view>

namespace knock {

/// The word of `known` within two edits of `wrong` (half its length for short ones), "" when none is.
std::string_view nearest(std::string_view wrong, std::span<const std::string_view> known);

} // namespace knock
