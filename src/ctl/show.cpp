// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/show.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include <knock/dates.hpp>

#include "system/zone.hpp"

namespace knock::ctl {

std::string config_of(const CommandLine& given) {
  return given.config.value_or("/etc/knockgate/knockgate.toml");
}

std::string socket_of(const CommandLine& given) {
  const char* set = std::getenv("KNOCKGATE_SOCKET");
  return given.socket.value_or(set != nullptr ? set : "/run/knockgate/control.sock");
}

/// Prints what went wrong where a script or a person looks for it.
int fail(const CommandLine& given, Failure failure, std::string_view before) {
  if (!given.json) fmt::print(stderr, "{}{}\n", before, to_string(failure));
  failure.text.insert(0, before);
  if (given.json) fmt::print("{}\n", error_line(failure));
  return static_cast<int>(failure.exit);
}

int show(const CommandLine& given, const Reply& reply) {
  for (const auto& line : reply.lines)
    if (const auto text = text_of(line); given.json || text) fmt::print("{}\n", given.json ? line : *text);
  return reply.failure.exit == ExitCode::done ? 0 : fail(given, reply.failure);
}

Failure refused(std::string text, std::string advice) {
  return {ExitCode::failed, "failed", {}, std::move(text), std::move(advice)};
}

void warn(const Hint& hint) {
  fmt::print(stderr, "warning: {}; {}\n", hint.text, hint.advice);
}

void warn_of_doors(const Config& config, std::string_view user, const std::vector<std::string>& doors) {
  for (const auto& door : doors)
    if (const auto hint = no_way(config, user, door)) warn(*hint);
}

std::vector<std::string> each_once(std::vector<std::string> words) {
  for (auto at = words.begin(); at != words.end(); ++at)
    words.erase(std::remove(at + 1, words.end(), *at), words.end());
  return words;
}

std::string minute_here(Moment moment) {
  return minute_text(moment, system::to_local);
}

std::optional<Status> status_of(const Reply& reply) {
  Status status;
  for (const auto& line : reply.lines)
    if (!parse_status(line, status)) return std::nullopt;
  return reply.failure.exit == ExitCode::done ? std::optional(std::move(status)) : std::nullopt;
}

} // namespace knock::ctl
