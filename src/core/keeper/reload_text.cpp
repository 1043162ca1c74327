// SPDX-License-Identifier: GPL-2.0-or-later
// What a reload did, said to a person.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/status.hpp>

#include "core/keeper/reload.hpp"

namespace knock::keeper {
namespace {

std::vector<std::string> session_texts(const std::vector<OpenGrant>& sessions) {
  constexpr std::size_t kShown = 8;
  std::vector<std::string> texts;
  for (const auto& grant : sessions) {
    if (texts.size() == kShown) {
      texts.push_back(fmt::format("So do {} more.", sessions.size() - kShown));
      break;
    }
    texts.push_back(fmt::format("The connection from {} port {} goes on; a new one needs the knock.",
                                to_string(grant.source), grant.source_port));
  }
  return texts;
}

/// What became of the ports that were on trial `before` this reload.
std::vector<std::string> trial_texts(const ReloadOptions& options, const Applied& applied,
                                     const Unconfirmed& before, Instant now) {
  std::vector<std::string> texts;
  for (const auto& [port, trial] : before) {
    const auto& gone = applied.unguarded;
    if (trial.until <= now || std::find(gone.begin(), gone.end(), port) != gone.end()) continue;
    if (options.now)
      texts.push_back(fmt::format("{} guarded for good, its trial is over.", to_string(port)));
    else if (options.confirm)
      texts.push_back(fmt::format("{} is on trial already, {} left: knockctl confirm", to_string(port),
                                  span_text(std::chrono::ceil<Millis>(trial.until - now).count())));
  }
  return texts;
}

} // namespace

std::string names(const std::vector<Port>& ports) {
  std::vector<std::string> texts;
  for (const auto& row : in_rows(ports)) texts.push_back(to_string(row));
  return fmt::format("{}", fmt::join(texts, " "));
}

std::vector<std::string> reload_texts(const ReloadOptions& options, const Applied& applied,
                                      const Unconfirmed& before, Instant now) {
  const bool trial = options.confirm && !applied.fresh.empty();
  std::vector<std::string> texts;
  if (!applied.changed) texts.emplace_back("nothing changed.");
  if (trial)
    texts.push_back(fmt::format("{} guarded from now, for {} unless confirmed.", names(applied.fresh),
                                span_text(options.confirm->count())));
  else if (!applied.guarded.empty())
    texts.push_back(fmt::format("{} guarded from now.", names(applied.guarded)));
  if (!applied.unguarded.empty())
    texts.push_back(fmt::format("{} no longer guarded.", names(applied.unguarded)));
  for (auto& text : trial_texts(options, applied, before, now)) texts.push_back(std::move(text));
  for (auto& text : session_texts(applied.sessions)) texts.push_back(std::move(text));
  if (applied.closed != 0)
    texts.push_back(fmt::format("{} closed: the door, a port of it, or the device is gone or off.",
                                plural(applied.closed, "grant")));
  if (trial) {
    texts.emplace_back("In a SECOND terminal, from an address that is not in trust: knock, or `knockgate "
                       "open`, then connect. "
                       "Works: `knockctl confirm`. Does not: do nothing.");
    texts.emplace_back(
        "confirm refuses until each of these ports was opened by a knock or a signed packet (by hand, where "
        "no door takes one); --anyway overrides.");
  }
  return texts;
}

} // namespace knock::keeper
