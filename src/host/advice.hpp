// SPDX-License-Identifier: GPL-2.0-or-later
/// Advice: what to type so that a chain lets packets pass, in the language of the program that writes its table. A rule of
/// another language makes iptables, and with it Docker and ufw, refuse the whole table. Pure; of this room alone.
#pragma once

#include <set>
#include <utility>

#include "host/firewall.hpp"

namespace knock::host {

using Rows = std::vector<PortRange>;
using Sent = std::set<std::pair<Protocol, Target>>; // where DNAT sends packets

/// To ports of this host.
std::string advice_for_ports(const Firewall& firewall, const Chain& base, const Rows& rows);
/// To other hosts, by DNAT: to these, or all that it sends when there is none.
std::string advice_for_sent(const Chain& base, const Sent& sent);

} // namespace knock::host
