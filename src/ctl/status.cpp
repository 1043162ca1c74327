// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include <knock/status.hpp>

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"

namespace knock::ctl {
namespace {

int show_status(const CommandLine& given, const Reply& reply) {
  Status status;
  for (const auto& line : reply.lines) {
    if (given.json)
      fmt::print("{}\n", line);
    else if (!parse_status(line, status))
      return fail(given, {ExitCode::failed,
                          "version",
                          {},
                          "the daemon's status makes no sense",
                          "install the same version of both"});
  }
  if (given.json) return 0;
  const bool colour = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  fmt::print("{}", to_text(status, std::time(nullptr), colour));
  return 0;
}

} // namespace

int status(const CommandLine& given) {
  const auto reply = ask(socket_of(given), {"status", {}});
  return reply.failure.exit == ExitCode::done ? show_status(given, reply) : fail(given, reply.failure);
}

} // namespace knock::ctl
