// SPDX-License-Identifier: GPL-2.0-or-later
/// FirewallCheck: what other tables do to doors and knocks. Pure; of this room alone.
///
/// Out:  door-dropped, knock-dropped, redirect, notrack, not-judged; one finding for each base chain and name.
/// Time: bounded by kMaxLooks looks at rules.
#pragma once

#include "host/host_facts.hpp"

namespace knock::host {

inline constexpr int kGate = -150;                  // where our chain stands: prerouting priority mangle
inline constexpr std::size_t kMaxLooks = 1'000'000; // some 1 us each

void check_firewall(const Config& config, const HostFacts& facts, std::vector<Finding>& findings);
/// Of one base chain: what leads from a port that is not guarded to one that is, behind the gate.
void check_leads(const Config& config, const HostFacts& facts, const Chain& chain, std::size_t& budget,
                 std::vector<Finding>& findings);
/// The other host that DNAT sends this packet to, behind the gate.
std::optional<Target> led_away(const Config& config, const HostFacts& facts, const Packet& packet,
                               std::size_t& budget);

/// "chain input of table inet filter"
std::string place_text(const Chain& chain);
/// "its policy", "rule handle 7 of chain user"
std::string spot_text(const Chain& base, const Spot& spot);
Finding not_judged(const Chain& base, const Door& door, const Spot& spot);

} // namespace knock::host
