// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include "ctl/control_client.hpp"
#include "ctl/off_alone.hpp"
#include "ctl/show.hpp"
#include "system/event_loop.hpp"

namespace knock::ctl {

int confirm(const CommandLine& given) {
  Request request{"confirm", {}};
  if (given.anyway) request.values["anyway"] = "1";
  return show_and_save(given, ask(socket_of(given), request));
}

int off_on(const CommandLine& given) {
  // Locked out, and no daemon: who may undo it all does not need one.
  const bool alone = given.verb == "off" && ::geteuid() == 0;
  // Of an `on` that waited, the daemon must know whether an `off` without it was typed later.
  const auto now = std::chrono::floor<Millis>(system::wall_clock()).count();
  const auto reply =
      ask(socket_of(given), {given.verb, {{"at", std::to_string(now)}}}, alone ? Seconds{5} : Seconds{30});
  const auto exit = reply.failure.exit;
  if (alone && (exit == ExitCode::unreachable || exit == ExitCode::busy))
    return show(given, off_alone(config_of(given), reply.failure));
  return show_and_save(given, reply);
}

} // namespace knock::ctl
