// SPDX-License-Identifier: GPL-2.0-or-later
/// Hints: why a device that is written right opens nothing all the same, and what to change.
///
/// In:     the configuration as it is read.   Out: a sentence, and what to do.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <knock/config.hpp>
#include <knock/control.hpp>
#include <knock/dates.hpp>

namespace knock {

struct Hint {
  std::string text;
  std::string advice;
};

/// Why signed packets of a user open no door of that name; nothing: they do, where device and user name it.
std::optional<Hint> no_way(const Config& config, std::string_view user, std::string_view door);
/// What keeps a device from opening anything, whatever it sends: it or its user is off, or its access ended.
std::optional<Hint> shut_out(const Config& config, const Device& device, Moment now, ToLocal to_local);
/// Of what was typed the first that is no door, with what may have been meant.
std::optional<Failure> misnamed(const Config& config, std::span<const std::string> doors);

} // namespace knock
