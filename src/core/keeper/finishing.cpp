// SPDX-License-Identifier: GPL-2.0-or-later
// What a change of rules says when it is done, or cannot be done whole.
#include <utility>

#include <fmt/format.h>

#include <knock/status.hpp>

#include "core/keeper/turns.hpp"

namespace knock::keeper {
namespace {

Reply reply_of(const State& state, const Finishing& finishing, Said& said) {
  const auto& [change, applied, before, texts, answered] = finishing;
  const auto say = [&](LogLevel level, const std::string& text) { said.lines.push_back({level, text}); };
  switch (change.verb) {
  case RuleChange::Verb::start: break;
  case RuleChange::Verb::users: {
    for (const auto& text : texts) say(LogLevel::warn, "users: " + text);
    auto reply = told(texts);
    reply.lines.push_back(closed_line(applied.closed));
    return reply;
  }
  case RuleChange::Verb::confirm:
    for (const auto& text : texts) say(LogLevel::info, "confirm: " + text);
    return told(texts);
  case RuleChange::Verb::off: {
    say(LogLevel::warn, "off: nothing is guarded until knockctl on");
    for (const auto& text : texts) say(LogLevel::warn, "off: " + text);
    std::vector<std::string> lines{"off: nothing is guarded until: sudo knockctl on"};
    lines.insert(lines.end(), texts.begin(), texts.end());
    return told(lines);
  }
  case RuleChange::Verb::on:
    say(LogLevel::info, "on: guarding again");
    return told({applied.guarded.empty() ? "on: no door is enabled."
                                         : fmt::format("on: {} guarded from now.", names(applied.guarded))});
  case RuleChange::Verb::reload: {
    auto lines = reload_texts(change.options, applied, before, state.now);
    lines.push_back(fmt::format("config read: {}.", plural(count_enabled(*state.settings.config), "door")));
    if (const auto error = unremembered(state))
      lines.push_back("not remembered, a restart goes by what was applied before: " + to_string(*error));
    for (const auto& text : lines) say(LogLevel::info, "reload: " + text);
    auto reply = told(lines);
    reply.lines.push_back(changed_line(applied.changed, applied.guarded, applied.unguarded));
    return reply;
  }
  }
  return {};
}

} // namespace

void finish(State& state, Said& said) {
  const auto finishing = *std::exchange(state.finishing, std::nullopt);
  if (finishing.change.verb == RuleChange::Verb::start) state.settings.started = true;
  if (!finishing.answered && finishing.change.ticket != 0)
    state.desk.answer(finishing.change.ticket, reply_of(state, finishing, said), said);
}

void answer_unfinished(State& state, const Error& error, Said& said) {
  auto& finishing = state.finishing;
  if (!finishing || finishing->answered || finishing->change.verb == RuleChange::Verb::start) return;
  auto reply = reply_of(state, *finishing, said);
  reply.lines.push_back(
      text_line("what is no longer given stays open until this is mended: " + to_string(error)));
  finishing->answered = true;
  state.desk.answer(finishing->change.ticket, std::move(reply), said);
}

} // namespace knock::keeper
