// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/zone.hpp"

#include <ctime>

namespace knock::system {

Moment now() {
  return std::chrono::floor<Seconds>(std::chrono::system_clock::now());
}

Moment of_local(LocalMoment local) {
  const auto days = std::chrono::floor<std::chrono::days>(local);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss time{local - days};
  std::tm parts{};
  parts.tm_year = static_cast<int>(date.year()) - 1900;
  parts.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  parts.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  parts.tm_hour = static_cast<int>(time.hours().count());
  parts.tm_min = static_cast<int>(time.minutes().count());
  parts.tm_sec = static_cast<int>(time.seconds().count());
  parts.tm_isdst = -1;
  return Moment{Seconds{std::mktime(&parts)}};
}

LocalMoment to_local(Moment moment) {
  const auto seconds = static_cast<std::time_t>(moment.time_since_epoch().count());
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  return LocalMoment{Seconds{seconds + parts.tm_gmtoff}};
}

Outside outside_here(std::optional<std::uint64_t> seed) {
  ::tzset();
  return {seed, now(), of_local};
}

} // namespace knock::system
