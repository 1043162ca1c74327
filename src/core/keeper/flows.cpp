// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/flows.hpp"

#include <algorithm>

namespace knock::keeper {
namespace {

constexpr Millis kAskEvery{1'000}; // a silent end is noticed so late

} // namespace

void Flows::begun(const Flow& flow, bool known, const Wanted& wanted, std::vector<FlowNews>& news) {
  if (!wanted(flow.source, flow.port) || !alive_.insert(flow).second) return;
  (known ? silent_ : unanswered_).insert(flow);
  news.push_back({{FlowEvent::Kind::begun, flow}, known});
}

void Flows::answered(const Flow& flow, std::vector<FlowNews>& news) {
  if (unanswered_.erase(flow) != 0) news.push_back({{FlowEvent::Kind::answered, flow}, false});
}

void Flows::ended(const Flow& flow, std::vector<FlowNews>& news) {
  if (alive_.erase(flow) == 0) return;
  silent_.erase(flow);
  answered(flow, news); // or will never be
  news.push_back({{FlowEvent::Kind::ended, flow}, false});
}

void Flows::hear(const FlowEvent& event, const Wanted& wanted, std::vector<FlowNews>& news) {
  switch (event.kind) {
  case FlowEvent::Kind::begun: return begun(event.flow, false, wanted, news);
  case FlowEvent::Kind::answered: return answered(event.flow, news);
  case FlowEvent::Kind::ended: return ended(event.flow, news);
  }
}

void Flows::look(const std::vector<Flow>& found, const Wanted& wanted, Instant now,
                 std::vector<FlowNews>& news) {
  const auto before = alive_;
  for (const auto& flow : before)
    if (!std::binary_search(found.begin(), found.end(), flow)) ended(flow, news);
  for (const auto& flow : found) begun(flow, true, wanted, news);
  if (!silent_.empty() && !next_) next_ = now + kAskEvery;
}

bool Flows::awaits(const Address& source, Port port) const {
  for (auto it = unanswered_.lower_bound({source, 0, {}, {}});
       it != unanswered_.end() && it->source == source; ++it)
    if (it->port == port) return true;
  return false;
}

std::vector<Flow> Flows::silent(Instant now) {
  if (!next_ || *next_ > now) return {};
  next_ = silent_.empty() ? std::nullopt : std::optional(now + kAskEvery);
  return {silent_.begin(), silent_.end()};
}

} // namespace knock::keeper
