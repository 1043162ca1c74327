// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/report.hpp"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <knock/client_text.hpp>

#include "client/show.hpp"
#include "core/json_text.hpp"

namespace knock::client {
namespace {

using nlohmann::json;

std::vector<std::string> routers_in(const Session& session) {
  std::vector<std::string> routers;
  for (const auto& way : session.ways) routers.push_back(to_string(way.router));
  return routers;
}

json line_of(const Session& session, const Way& way, std::string_view state, std::size_t packets,
             Millis took) {
  return {{"schema", 1},
          {"profile", session.profile.name},
          {"door", session.door.name},
          {"state", state},
          {"address", to_string(way.router)},
          {"port", session.port ? json(*session.port) : json(nullptr)},
          {"source", to_string(way.binding.source.value_or(way.source))},
          {"bound", way.binding.flag == kn1::Flag::bound},
          {"packets", packets},
          {"took_ms", took.count()}};
}

} // namespace

void say_knocking(const Session& session) {
  if (session.given.json || ::isatty(STDERR_FILENO) == 0) return;
  say(fmt::format("{}: knocking at {} ...\n", session.profile.name, fmt::join(routers_in(session), ", ")));
}

void report(const Session& session, const Order& order, const OpenDoor& door) {
  const auto& way = session.ways[door.way];
  if (session.given.json) {
    auto line = line_of(session, way, door.verified ? "open" : "sent", door.packets, door.took);
    if (order.for_address) {
      line["source"] = to_string(*order.for_address);
      line["bound"] = false;
    }
    fmt::print("{}\n", json_text(line));
  } else if (!door.verified) {
    fmt::print("{} sent; cannot be verified\n", session.door.name);
  } else {
    const auto* binding = !session.keys                          ? ""
                          : way.binding.flag == kn1::Flag::bound ? " (bound)"
                                                                 : " (unbound)";
    fmt::print("{} open at {} for {}{}, {}\n", session.door.name, to_string(way.target),
               to_string(way.binding.source.value_or(way.source)), binding, span_text(door.took));
  }
  std::fflush(stdout);
}

void report_closed(const Session& session, std::size_t packets, Millis took) {
  if (session.given.json)
    fmt::print("{}\n", json_text(line_of(session, session.ways.front(), "closed", packets, took)));
  else
    fmt::print("{}: close sent to {}\n", session.door.name, fmt::join(routers_in(session), ", "));
}

} // namespace knock::client
