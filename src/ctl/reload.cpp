// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"

namespace knock::ctl {

int reload(const CommandLine& given) {
  Request request{"reload", {}};
  if (given.confirm && given.now) return fail(given, usage_failure("--confirm and --now exclude each other"));
  if (given.confirm) request.values["confirm"] = *given.confirm;
  if (given.now) request.values["now"] = "1";
  return show_and_save(given, ask(socket_of(given), request));
}

} // namespace knock::ctl
