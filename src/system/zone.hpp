// SPDX-License-Identifier: GPL-2.0-or-later
/// Zone: the clock of this host, and its time zone as it is now.
///
/// Source: tzset(3), mktime(3), localtime(3).
#pragma once

#include <optional>

#include <knock/config.hpp>

namespace knock::system {

Moment now();
/// A moment that a change of clocks leaves out or has twice: one of both.
Moment of_local(LocalMoment local);
LocalMoment to_local(Moment moment);

/// What reading a configuration asks of this host; the zone is read anew.
Outside outside_here(std::optional<std::uint64_t> seed = {});

} // namespace knock::system
