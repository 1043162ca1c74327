// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"
#include "system/event_loop.hpp"

namespace knock::ctl {

int wait(const CommandLine& given) {
  const auto patience = parse_duration(given.timeout.value_or("10s"));
  if (!patience) return fail(given, usage_failure(*given.timeout + " is no time", "write --timeout 10s"));
  const auto deadline = system::monotonic_now() + *patience;
  for (;;) {
    const auto reply = ask(socket_of(given), {"wait", {}}, Millis{1000});
    const bool busy = reply.failure.exit == ExitCode::busy;
    if (!busy && reply.failure.exit != ExitCode::unreachable) return show(given, reply);
    const Failure late{
        ExitCode::failed, "timeout", {}, "knockgated is not ready", "systemctl status knockgated"};
    if (system::monotonic_now() >= deadline) return fail(given, busy ? reply.failure : late);
    ::usleep(20'000); // nothing announces a socket that is not there yet
  }
}

} // namespace knock::ctl
