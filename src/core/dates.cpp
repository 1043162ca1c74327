// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/dates.hpp>

#include <charconv>

#include <fmt/format.h>

namespace knock {
namespace {

struct Parts {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<Seconds> time;
};

Parts parts_of(LocalMoment local) {
  const auto day = std::chrono::floor<std::chrono::days>(local);
  return {std::chrono::year_month_day{day}, std::chrono::hh_mm_ss<Seconds>{local - day}};
}

LocalMoment local_of(Moment moment, ToLocal to_local) {
  return to_local != nullptr ? to_local(moment) : LocalMoment{moment.time_since_epoch()};
}

std::string day_text(const std::chrono::year_month_day& date) {
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

std::optional<unsigned> number(std::string_view text, std::size_t at, std::size_t count) {
  unsigned value = 0;
  const auto* begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + count, value);
  return error == std::errc{} && end == begin + count ? std::optional(value) : std::nullopt;
}

} // namespace

std::string rfc3339(Moment moment) {
  const auto [date, time] = parts_of(local_of(moment, nullptr));
  return fmt::format("{}T{:02}:{:02}:{:02}Z", day_text(date), time.hours().count(), time.minutes().count(),
                     time.seconds().count());
}

std::optional<Moment> parse_rfc3339(std::string_view text) {
  constexpr std::string_view kForm = "2026-12-02T10:00:00Z";
  if (text.size() != kForm.size()) return std::nullopt;
  const auto year = number(text, 0, 4), month = number(text, 5, 2), day = number(text, 8, 2),
             hour = number(text, 11, 2), minute = number(text, 14, 2), second = number(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                         std::chrono::month{*month}, std::chrono::day{*day}};
  if (!date.ok()) return std::nullopt;
  const Moment moment = std::chrono::sys_days{date} + std::chrono::hours{*hour} +
                        std::chrono::minutes{*minute} + Seconds{*second};
  return rfc3339(moment) == text ? std::optional(moment) : std::nullopt;
}

std::string date_text(Moment moment, ToLocal to_local) {
  return day_text(parts_of(local_of(moment, to_local)).date);
}

std::string minute_text(Moment moment, ToLocal to_local) {
  const auto [date, time] = parts_of(local_of(moment, to_local));
  return fmt::format("{} {:02}:{:02}", day_text(date), time.hours().count(), time.minutes().count());
}

} // namespace knock
