// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

#include <knock/dates.hpp>

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"
#include "system/zone.hpp"

namespace knock::ctl {
namespace {

std::string clock_text(const Clocks& clocks) {
  const auto now = minute_text(clocks.now, system::to_local),
             latest = minute_text(clocks.latest, system::to_local);
  return clocks.latest > clocks.now ? fmt::format("now is {}, not {}.", now, latest)
                                    : fmt::format("now is {}.", now);
}

/// Whether who is at the terminal says yes.
bool agrees(const Clocks& clocks) {
  fmt::print("{} Knocks captured since may open once more. Take it? [y/N] ", clock_text(clocks));
  std::fflush(stdout);
  const int answer = std::getchar();
  return answer == 'y' || answer == 'Y';
}

/// Whether nothing is to be accepted: the clock is known to be right, and nothing is ahead of it.
bool is_right(const CommandLine& given, const Clocks& clocks) {
  if (clocks.latest > clocks.now) return false;
  const auto status = status_of(ask(socket_of(given), {"status", {}}));
  return status && status->kn1 && status->kn1->clock == "good";
}

} // namespace

int clock(const CommandLine& given) {
  if (given.words.empty() || given.words[0] != "accept") return fail(given, misused_part(given));
  const auto look = ask(socket_of(given), {"clock-accept", {{"look", ""}}});
  if (look.failure.exit != ExitCode::done) return fail(given, look.failure);
  const auto clocks = look.lines.empty() ? std::nullopt : parse_clocks(look.lines[0]);
  if (!clocks)
    return fail(given, usage_failure("the daemon answers otherwise", "install the same version of both"));
  if (is_right(given, *clocks)) {
    if (given.json)
      fmt::print("{}\n", look.lines[0]);
    else
      fmt::print("now is {}, and so were signed packets: nothing was to do.\n", minute_here(clocks->now));
    return 0;
  }
  if (!given.yes && ::isatty(STDIN_FILENO) == 0)
    return fail(given, usage_failure("it asks on a terminal", "knockctl clock accept --yes"));
  if (!given.yes && !agrees(*clocks)) return static_cast<int>(ExitCode::failed);
  const auto done = ask(socket_of(given), {"clock-accept", {}});
  if (done.failure.exit != ExitCode::done) return fail(given, done.failure);
  if (given.json)
    fmt::print("{}\n", done.lines.empty() ? "{}" : done.lines[0]);
  else
    fmt::print("{} Knocks captured since may open once more.\n", clock_text(*clocks));
  return 0;
}

} // namespace knock::ctl
