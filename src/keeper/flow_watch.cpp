// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/flow_watch.hpp"

#include <algorithm>
#include <vector>

#include "system/log.hpp"

namespace knock::keeper {
namespace {

constexpr Millis kPollEvery{1'000}; // a silent end is noticed so late

} // namespace

Result<std::unique_ptr<FlowWatch>> FlowWatch::open(system::EventLoop& loop, Wanted wanted, Tell tell) {
  auto conntrack = netlink::Conntrack::open();
  if (!conntrack) return tl::unexpected(conntrack.error());
  return std::unique_ptr<FlowWatch>(
      new FlowWatch(loop, std::move(*conntrack), std::move(wanted), std::move(tell)));
}

FlowWatch::FlowWatch(system::EventLoop& loop, netlink::Conntrack conntrack, Wanted wanted, Tell tell)
    : conntrack_(std::move(conntrack)), wanted_(std::move(wanted)), tell_(std::move(tell)) {
  watch_ = loop.watch(conntrack_.fd(), [this](Instant now) { drain(now); });
}

void FlowWatch::begun(const Flow& flow, bool known, Instant now) {
  if (!wanted_(flow.source, flow.port) || !alive_.insert(flow).second) return;
  if (known) {
    silent_.insert(flow);
    next_poll_ = next_poll_.value_or(now + kPollEvery);
  } else {
    unanswered_.insert(flow);
  }
  tell_({{FlowEvent::Kind::begun, flow}, known}, now);
}

void FlowWatch::answered(const Flow& flow, Instant now) {
  if (unanswered_.erase(flow) != 0) tell_({{FlowEvent::Kind::answered, flow}, false}, now);
}

void FlowWatch::ended(const Flow& flow, Instant now) {
  if (alive_.erase(flow) == 0) return;
  silent_.erase(flow);
  answered(flow, now); // or will never be
  tell_({{FlowEvent::Kind::ended, flow}, false}, now);
}

void FlowWatch::drain(Instant now) {
  std::vector<FlowEvent> events;
  const auto drained = conntrack_.drain(events);
  if (!drained) return system::log_line(LogLevel::warn, to_string(drained.error()));
  for (const auto& [kind, flow] : events) switch (kind) {
    case FlowEvent::Kind::begun: begun(flow, false, now); break;
    case FlowEvent::Kind::answered: answered(flow, now); break;
    case FlowEvent::Kind::ended: ended(flow, now); break;
    }
  if (drained->overran) look(now);
}

void FlowWatch::look(Instant now) {
  auto found = conntrack_.flows();
  if (!found) return system::log_line(LogLevel::warn, to_string(found.error()));
  std::sort(found->begin(), found->end());
  const auto before = alive_;
  for (const auto& flow : before)
    if (!std::binary_search(found->begin(), found->end(), flow)) ended(flow, now);
  for (const auto& flow : *found) begun(flow, true, now);
}

std::optional<Instant> FlowWatch::work(Instant now) {
  if (!next_poll_ || *next_poll_ > now) return next_poll_;
  const auto asked = silent_;
  for (const auto& flow : asked)
    if (const auto lives = conntrack_.lives(flow); lives && !*lives) ended(flow, now);
  next_poll_ = silent_.empty() ? std::nullopt : std::optional(now + kPollEvery);
  return next_poll_;
}

} // namespace knock::keeper
