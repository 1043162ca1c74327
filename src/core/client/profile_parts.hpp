// SPDX-License-Identifier: GPL-2.0-or-later
/// What the rooms of a profile share: hosts, and the knock of a door.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace knock::profiles {

inline constexpr std::size_t kMaxEntries = 64; // of a knock, a pause before each of its steps

/// What is wrong with a knock as it stands in knockgate.toml, and where.
struct KnockFault {
  std::size_t at; ///< the entry
  std::string text, advice;
};
std::optional<KnockFault> fault_of(std::span<const std::string> knock);

/// A host as a line has it, no longer than a name of DNS.
bool is_client_host(std::string_view text);

/// Whether both are one host: case does not count, nor how an address is written.
bool same_host(std::string_view one, std::string_view other);

} // namespace knock::profiles
