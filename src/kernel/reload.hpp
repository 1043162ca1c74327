// SPDX-License-Identifier: GPL-2.0-or-later
/// Reload: what a new config is asked to do, and what it did.
#pragma once

#include <optional>
#include <vector>

#include <knock/open_grant.hpp>

namespace knock::kernel {

struct ReloadOptions {
  std::optional<Millis> confirm; ///< guard new ports only that long
  bool now = false;              ///< guard new ports for good, unconfirmed ones too
  bool ask = false;              ///< refuse to guard a new port: somebody has to say for how long
};

struct Applied {
  std::vector<Port> guarded;       ///< newly
  std::vector<Port> unguarded;     ///< no longer
  std::vector<OpenGrant> sessions; ///< kept open by a grant
  std::size_t closed = 0;          ///< grants of doors that are gone
};

} // namespace knock::kernel
