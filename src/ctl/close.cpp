// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"

namespace knock::ctl {

int close(const CommandLine& given) {
  Request request{"close", {}};
  if (given.all == !given.words.empty() || given.words.size() > 2)
    return fail(given,
                usage_failure("close what?", "knockctl close DOOR|ID [ADDRESS], or knockctl close --all"));
  if (given.all) request.values["all"] = "1";
  if (!given.words.empty()) request.values["what"] = given.words[0];
  if (given.words.size() == 2) request.values["source"] = given.words[1];
  return show(given, ask(socket_of(given), request));
}

} // namespace knock::ctl
