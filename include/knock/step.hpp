// SPDX-License-Identifier: GPL-2.0-or-later
/// Step: one packet of a knock, as the admin wrote it. What else a step may ask for than its port (flags, a payload,
/// repeats, a pause before it) belongs here; by what of it a packet is compared is its Token (policy.hpp).
#pragma once

#include <compare>

#include <knock/port.hpp>

namespace knock {

struct Step {
  Port port;
  auto operator<=>(const Step&) const = default;
};

} // namespace knock
