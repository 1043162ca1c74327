// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"

namespace knock::ctl {

int confirm(const CommandLine& given) {
  Request request{"confirm", {}};
  if (given.anyway) request.values["anyway"] = "1";
  return show_and_save(given, ask(socket_of(given), request));
}

int off_on(const CommandLine& given) {
  return show_and_save(given, ask(socket_of(given), {given.verb, {}}));
}

} // namespace knock::ctl
