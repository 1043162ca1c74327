// SPDX-License-Identifier: GPL-2.0-or-later
/// ConfigText: one file of the configuration, as it was read.
#pragma once

#include <cstdint>
#include <string>

namespace knock {

struct ConfigText {
  enum class Part : std::uint8_t { main, doors, users };
  std::string file; ///< as it shall stand in findings
  std::string text;
  Part part = Part::main; ///< knockgate.toml, or in which directory beside it
};

} // namespace knock
