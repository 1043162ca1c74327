// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/show.hpp"

#include <cstdlib>

#include <fmt/format.h>

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

std::optional<Status> status_of(const Reply& reply) {
  Status status;
  for (const auto& line : reply.lines)
    if (!parse_status(line, status)) return std::nullopt;
  return reply.failure.exit == ExitCode::done ? std::optional(std::move(status)) : std::nullopt;
}

} // namespace knock::ctl
