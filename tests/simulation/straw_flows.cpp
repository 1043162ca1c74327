// SPDX-License-Identifier: GPL-2.0-or-later
#include "straw_flows.hpp"

#include <algorithm>

namespace knock::simulation {

Connection* Connections::find(const Address& source, std::uint16_t source_port, Port port) {
  const auto found = std::find_if(alive.begin(), alive.end(), [&](const Connection& one) {
    return one.flow.source_port == source_port && one.flow.port == port && one.flow.source == source;
  });
  return found == alive.end() ? nullptr : &*found;
}

void Connections::let_in(const Address& source, std::uint16_t source_port, Port port, bool tracks) {
  auto* found = find(source, source_port, port);
  if (found == nullptr) {
    alive.push_back({{source, source_port, here, port, 0, 0}, false, false, false});
    found = &alive.back();
  }
  if (!tracks || found->tracked) return;
  found->tracked = true;
  found->flow.id = ++last_id;
  found->noted = listening;
  if (listening) events.push_back({FlowEvent::Kind::begun, found->flow});
}

void Connections::answer(const Address& source, std::uint16_t source_port, Port port) {
  auto* found = find(source, source_port, port);
  if (found == nullptr || !found->tracked || found->answered) return;
  found->answered = true;
  if (listening && found->noted) events.push_back({FlowEvent::Kind::answered, found->flow});
}

void Connections::end(const Address& source, std::uint16_t source_port, Port port) {
  const auto* found = find(source, source_port, port);
  if (found == nullptr) return;
  if (listening && found->noted) events.push_back({FlowEvent::Kind::ended, found->flow});
  alive.erase(alive.begin() + (found - alive.data()));
}

void Connections::listen(bool on) {
  if (listening == on) return;
  listening = on;
  overran = false;
  events.clear();
}

void Connections::lose_events() {
  if (!listening) return;
  events.clear();
  overran = true;
}

std::vector<Flow> Connections::flows() const {
  std::vector<Flow> found;
  for (const auto& one : alive)
    if (one.tracked) found.push_back(one.flow);
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<GrantKey> Connections::tcp() const {
  std::vector<GrantKey> found;
  for (const auto& one : alive)
    if (one.flow.port.protocol == Protocol::tcp)
      found.push_back({one.flow.source, one.flow.port, GrantSet::session, one.flow.source_port});
  std::sort(found.begin(), found.end());
  return found;
}

bool Connections::lives(const Flow& flow) const {
  return std::any_of(alive.begin(), alive.end(),
                     [&](const Connection& one) { return one.tracked && one.flow == flow; });
}

} // namespace knock::simulation
