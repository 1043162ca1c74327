// SPDX-License-Identifier: GPL-2.0-or-later
// A new port is guarded on trial: what proves that its users come in, and how it ends.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "keeper/keeper.hpp"
#include "system/log.hpp"

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

std::string names(const std::vector<Port>& ports) {
  return listed(ports, " ", [](Port port) { return to_string(port); });
}

/// "tcp/22 (door ssh)", "tcp/80 (door web, by hand)"
std::string way_in(const Config& config, Port port) {
  const auto doors = doors_to_prove(config, port);
  const bool by_hand = !doors.empty() && doors.front()->knock.empty();
  return fmt::format("{} (door {}{})", to_string(port),
                     listed(doors, " or ", [](const Door* door) { return door->name; }),
                     by_hand ? ", by hand" : "");
}

/// "tcp/22 (203.0.113.9 at door ssh)"
std::string came_in(Port port, const Opening& opening) {
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
  std::string by_knock, by_hand;
  for (Port port : unproven) {
    const auto doors = doors_to_prove(config, port);
    if (doors.empty() || !doors.front()->knock.empty())
      by_knock = "in a SECOND terminal, from an address that is not in trust: knock, then connect; ";
    else if (by_hand.empty())
      by_hand = fmt::format("sudo knockctl open {} ADDRESS, then connect; ", doors.front()->name);
  }
  return by_knock + by_hand + "or: knockctl confirm --anyway";
}

Reply refuse(std::string code, std::string text, std::string advice) {
  return {{}, {ExitCode::failed, std::move(code), {}, std::move(text), std::move(advice)}};
}

} // namespace

/// Kept on disk at once: it happens once or twice a port and trial.
void Keeper::prove(const OpenGrant& grant, Instant now) {
  if (!note_opening(unconfirmed_, config_, grant, now)) return;
  if (auto kept = remember(unconfirmed_, off_since_); !kept)
    system::log_line(LogLevel::warn, to_string(kept.error()));
}

/// The kernel has ended them; this says so. Returns when the next one ends.
std::optional<Instant> Keeper::end_trials(Instant now) {
  if (unconfirmed_.empty()) return std::nullopt;
  const auto next = [&] { return next_trial_ == Instant::max() ? std::nullopt : std::optional(next_trial_); };
  if (now < next_trial_) return next();
  next_trial_ = Instant::max();
  std::vector<Port> over;
  for (auto& [port, trial] : unconfirmed_) {
    if (trial.until > now) {
      next_trial_ = std::min(next_trial_, trial.until);
    } else if (!trial.told) {
      trial.told = true;
      over.push_back(port);
    }
  }
  if (over.empty()) return next();
  system::log_line(LogLevel::warn, fmt::format("trial over: {} {} not confirmed: unguarded", names(over),
                                               over.size() == 1 ? "was" : "were"));
  if (auto kept = remember(unconfirmed_, off_since_); !kept)
    system::log_line(LogLevel::warn, to_string(kept.error()));
  return next();
}

Reply Keeper::confirm(const Request& request, Instant now) {
  std::vector<Port> ports, late, unproven;
  Unconfirmed rest;
  for (const auto& [port, trial] : unconfirmed_) {
    if (trial.until > now) {
      ports.push_back(port);
      if (!is_proven(config_, port, trial)) unproven.push_back(port);
    } else {
      late.push_back(port);
      rest[port] = trial;
    }
  }
  if (ports.empty())
    return refuse("failed",
                  late.empty() ? "nothing waits to be confirmed"
                               : fmt::format("too late: {} {} unguarded already", names(late),
                                             late.size() == 1 ? "is" : "are"),
                  late.empty() ? "" : "run: knockctl reload --confirm 10m");
  std::vector<Port> proven;
  std::set_difference(ports.begin(), ports.end(), unproven.begin(), unproven.end(),
                      std::back_inserter(proven));
  const auto who =
      listed(proven, ", ", [&](Port port) { return came_in(port, *unconfirmed_.at(port).opening); });
  std::vector<std::string> trials; // of several hands, when one reloaded during the trial of another
  for (Port port : ports)
    if (auto trial = whose(unconfirmed_.at(port), now); trials.empty() || trials.back() != trial)
      trials.push_back(std::move(trial));
  const auto trial = listed(trials, ", ", [](const std::string& text) { return text; });
  if (!unproven.empty() && !request.find("anyway"))
    return refuse("unproven",
                  fmt::format("not confirmed: not opened since the trial began: {}{}{} ({})",
                              listed(unproven, ", ", [&](Port port) { return way_in(config_, port); }),
                              proven.empty() ? "" : "; opened: ", who, trial),
                  how_to_prove(config_, unproven));

  // The kernel first: killed in between, the ports fall back to unguarded at the next start.
  auto sets = with_unconfirmed(static_sets_of(config_), rest, now);
  if (off_since_) sets = {};
  if (auto loaded = gate_.load(config_, sets, {}, ledger_.all(now)); !loaded)
    return {{}, failure_of(loaded.error())};
  if (auto written = remember(rest, off_since_); !written) return {{}, failure_of(written.error())};
  unconfirmed_ = std::move(rest);
  std::vector<std::string> texts{fmt::format("{} guarded for good.", names(ports))};
  if (!proven.empty()) texts.push_back(fmt::format("opened: {}.", who));
  if (!unproven.empty())
    texts.push_back(fmt::format("never opened since, taken on trust: {}.", names(unproven)));
  texts.push_back(fmt::format("ended: {}.", trial));
  Reply reply;
  for (const auto& text : texts) {
    system::log_line(LogLevel::info, "confirm: " + text);
    reply.lines.push_back(text_line(text));
  }
  return reply;
}

} // namespace knock::keeper
