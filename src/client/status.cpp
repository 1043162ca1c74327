// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate status: what this machine opened, as far as it knows.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <knock/client_text.hpp>

#include "client/profiles.hpp"
#include "client/show.hpp"
#include "client/state_file.hpp"
#include "client/verbs.hpp"
#include "core/json_text.hpp"
#include "system/event_loop.hpp"

namespace knock::client {
namespace {

void print_knocked(const std::string& profile, const Knocked& one, Wall now, bool as_json) {
  const auto left = std::chrono::floor<Millis>(left_of(one, now));
  const auto* state = one.seen == Knocked::Seen::open ? "open" : "sent";
  if (as_json)
    fmt::print("{}\n", json_text({{"schema", 1},
                                  {"profile", profile},
                                  {"door", one.way.door},
                                  {"state", state},
                                  {"address", to_string(one.way.router)},
                                  {"source", to_string(one.way.granted)},
                                  {"bound", one.bound},
                                  {"left_ms", left.count()}}));
  else
    fmt::print("{}  {}  {} at {} for {}, {} left\n", profile, one.way.door, state, to_string(one.way.router),
               to_string(one.way.granted), span_text(std::chrono::floor<Seconds>(left)));
}

} // namespace

int status(const ClientLine& given) {
  const auto where = places();
  if (!where) return fail(given, where.error());
  const auto profiles = asked_profiles(given, *where);
  if (!profiles) return fail(given, profiles.error());
  const auto now = system::wall_clock();
  bool any = false;
  for (const auto& profile : profiles->sound) {
    const auto state = look_at_state(where->state, profile.name);
    for (const auto& one : state ? state->knocked : std::vector<Knocked>{}) {
      if (left_of(one, now) <= Wall{0}) continue;
      print_knocked(profile.name, one, now, given.json);
      any = true;
    }
  }
  if (!any && !given.json && profiles->broken.empty()) fmt::print("nothing is open by this machine\n");
  return profiles->broken.empty() ? 0 : static_cast<int>(profiles->broken.front().exit);
}

} // namespace knock::client
