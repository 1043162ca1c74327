// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"

namespace knock::ctl {

int open(const CommandLine& given) {
  if (given.words.size() != 2)
    return fail(given,
                usage_failure("open needs a door and an address", "knockctl open DOOR ADDRESS [--for 30m]"));
  Request request{"open", {{"door", given.words[0]}, {"source", given.words[1]}}};
  if (given.for_time) request.values["for"] = *given.for_time;
  return show(given, ask(socket_of(given), request));
}

} // namespace knock::ctl
