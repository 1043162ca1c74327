// SPDX-License-Identifier: GPL-2.0-or-later
/// ConfigText: one file of the configuration, as it was read.
#pragma once

#include <cstdint>
#include <string>

namespace knock {

struct ConfigText {
  enum class Part : std::uint8_t { main, doors, users, keys };
  std::string file; ///< as it shall stand in findings
  std::string text;
  Part part = Part::main; ///< knockgate.toml, in which directory beside it, or kn1.key
};

} // namespace knock
