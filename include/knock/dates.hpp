// SPDX-License-Identifier: GPL-2.0-or-later
/// Dates: moments as text. The time zone of a host is asked elsewhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <knock/time.hpp>

namespace knock {

/// RFC 3339, UTC: "2026-12-02T10:00:00Z". TOML takes it as it stands.
std::string rfc3339(Moment moment);
/// Just what `rfc3339` makes.
std::optional<Moment> parse_rfc3339(std::string_view text);

/// What a clock on the wall shows at a moment; null: UTC.
using ToLocal = LocalMoment (*)(Moment);
/// "2026-12-02", "2026-12-02 10:00".
std::string date_text(Moment moment, ToLocal to_local);
std::string minute_text(Moment moment, ToLocal to_local);

} // namespace knock
