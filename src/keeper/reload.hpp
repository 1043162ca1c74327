// SPDX-License-Identifier: GPL-2.0-or-later
/// Reload: what a new config is asked to do, and what it did.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <knock/open_grant.hpp>

namespace knock::keeper {

struct ReloadOptions {
  std::optional<Millis> confirm{}; ///< guard new ports only that long
  bool now = false;                ///< guard new ports for good, unconfirmed ones too
  bool ask = false;                ///< refuse to guard a new port: it has to be said for how long
  std::uint32_t uid = 0;           ///< who asks
};

struct Applied {
  std::vector<Port> guarded;       ///< newly
  std::vector<Port> fresh;         ///< of these, what was not to be guarded before; not done with `ask`
  std::vector<Port> unguarded;     ///< no longer
  std::vector<OpenGrant> sessions; ///< kept open by a grant
  std::size_t closed = 0;          ///< grants of doors that are gone
  bool changed = false;            ///< config, table, or what is on trial
};

} // namespace knock::keeper
