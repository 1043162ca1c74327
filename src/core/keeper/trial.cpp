// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/trial.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/status.hpp>

namespace knock::keeper {
namespace {

constexpr std::size_t kShown = 8; // of a list; an answer is one datagram

template<class Items, class Text>
std::string listed(const Items& items, std::string_view between, Text text) {
  std::vector<std::string> texts;
  for (const auto& item : items) {
    if (texts.size() == kShown) {
      texts.push_back(fmt::format("{} more", items.size() - kShown));
      break;
    }
    texts.push_back(text(item));
  }
  return fmt::format("{}", fmt::join(texts, between));
}

std::string some(const std::vector<Port>& ports) {
  return listed(in_rows(ports), " ", [](const PortRange& row) { return to_string(row); });
}

/// "tcp/22 (door ssh)", "tcp/80 (door web, by hand)", "tcp/443 (door mail, by a signed packet)"
std::string way_in(const Config& config, Port port) {
  const auto doors = doors_to_prove(config, port);
  const bool knocks = doors.empty() || !doors.front()->knock.empty();
  return fmt::format("{} (door {}{})", to_string(port),
                     listed(doors, " or ", [](const Door* door) { return door->name; }),
                     knocks               ? ""
                     : doors.front()->kn1 ? ", by a signed packet"
                                          : ", by hand");
}

/// "tcp/22 (203.0.113.9 at door ssh)"
std::string came_in(Port port, const CameIn& opening) {
  return fmt::format("{} ({} at door {}{})", to_string(port), to_string(opening.source), opening.door,
                     opening.by_hand ? ", by hand" : "");
}

std::string whose(const Trial& trial, Instant now) {
  if (!trial.uid) return "a trial of an earlier version";
  return fmt::format("the trial that uid {} began {} ago", *trial.uid,
                     span_text(std::chrono::floor<Millis>(now - trial.begun).count()));
}

/// A trusted address is never asked, so its knock is not seen.
std::string how_to_prove(const Config& config, const std::vector<Port>& unproven) {
  std::string by_knock, by_packet, by_hand;
  for (Port port : unproven) {
    const auto doors = doors_to_prove(config, port);
    if (doors.empty() || !doors.front()->knock.empty())
      by_knock = "in a SECOND terminal, from an address that is not in trust: knock, then connect; ";
    else if (doors.front()->kn1)
      by_packet =
          fmt::format("on a device that may, from an address that is not in trust: knockgate open HOST {}, "
                      "then connect; ",
                      doors.front()->name);
    else if (by_hand.empty())
      by_hand = fmt::format("sudo knockctl open {} ADDRESS, then connect; ", doors.front()->name);
  }
  return by_knock + by_packet + by_hand + "or: knockctl confirm --anyway";
}

/// Of several hands, when one reloaded during the trial of another.
std::string whose(const std::vector<Port>& ports, const Unconfirmed& trials, Instant now) {
  std::vector<std::string> texts;
  for (Port port : ports)
    if (auto text = whose(trials.at(port), now); texts.empty() || texts.back() != text)
      texts.push_back(std::move(text));
  return listed(texts, ", ", [](const std::string& text) { return text; });
}

Failure nothing_to_confirm(const std::vector<Port>& late) {
  if (late.empty()) return {ExitCode::failed, "failed", {}, "nothing waits to be confirmed", ""};
  return {ExitCode::failed,
          "failed",
          {},
          fmt::format("too late: {} {} unguarded already", some(late), late.size() == 1 ? "is" : "are"),
          "run: knockctl reload --confirm 10m"};
}

} // namespace

Confirming plan_confirm(const Config& config, const Unconfirmed& trials, bool anyway, Instant now) {
  Confirming plan;
  std::vector<Port> ports, late, proven, unproven;
  for (const auto& [port, trial] : trials) {
    if (trial.until > now) {
      ports.push_back(port);
      (is_proven(config, port, trial) ? proven : unproven).push_back(port);
    } else {
      late.push_back(port);
      plan.rest[port] = trial;
    }
  }
  if (ports.empty()) {
    plan.refusal = nothing_to_confirm(late);
    return plan;
  }
  const auto who = listed(proven, ", ", [&](Port port) { return came_in(port, *trials.at(port).opening); });
  const auto trial = whose(ports, trials, now);
  if (!unproven.empty() && !anyway) {
    plan.refusal =
        Failure{ExitCode::failed,
                "unproven",
                {},
                fmt::format("not confirmed: not opened since the trial began: {}{}{} ({})",
                            listed(unproven, ", ", [&](Port port) { return way_in(config, port); }),
                            proven.empty() ? "" : "; opened: ", who, trial),
                how_to_prove(config, unproven)};
    return plan;
  }
  plan.texts.push_back(fmt::format("{} guarded for good.", some(ports)));
  if (!proven.empty()) plan.texts.push_back(fmt::format("opened: {}.", who));
  if (!unproven.empty())
    plan.texts.push_back(fmt::format("never opened since, taken on trust: {}.", some(unproven)));
  plan.texts.push_back(fmt::format("ended: {}.", trial));
  return plan;
}

std::optional<Line> tell_ended(Unconfirmed& trials, Instant now) {
  std::vector<Port> over;
  for (auto& [port, trial] : trials)
    if (trial.until <= now && !trial.told) {
      trial.told = true;
      over.push_back(port);
    }
  if (over.empty()) return std::nullopt;
  return Line{LogLevel::warn, fmt::format("trial over: {} {} not confirmed: unguarded", some(over),
                                          over.size() == 1 ? "was" : "were")};
}

std::optional<Instant> next_ended(const Unconfirmed& trials) {
  std::optional<Instant> next;
  for (const auto& [port, trial] : trials)
    if (!trial.told) next = sooner(next, trial.until);
  return next;
}

} // namespace knock::keeper
