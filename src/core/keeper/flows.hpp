// SPDX-License-Identifier: GPL-2.0-or-later
/// Flows: the connections that open grants have to know of, from the first packet to the last.
///
/// In:      events of conntrack, and what it answered; which connections are wanted.
/// Out:     each one's begin, first answer and end, once.
/// Memory:  one entry for each wanted connection that lives.
/// Threads: one. Time: passed in. A connection that began before anything listened may never send an event
///          (netlink/conntrack.hpp): it is asked for once a second.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include <knock/flow.hpp>
#include <knock/time.hpp>

namespace knock::keeper {

/// `known`: it may have begun long ago.
struct FlowNews {
  FlowEvent event;
  bool known = false;
};

class Flows {
 public:
  using Wanted = std::function<bool(const Address& source, Port port)>;

  void hear(const FlowEvent& event, const Wanted& wanted, std::vector<FlowNews>& news);
  /// Takes over the connections there are, sorted: after a start, and when events were lost.
  void look(const std::vector<Flow>& found, const Wanted& wanted, Instant now, std::vector<FlowNews>& news);
  void ended(const Flow& flow, std::vector<FlowNews>& news);
  /// Whether one of these connections is not answered yet, of those that were seen to begin.
  [[nodiscard]] bool awaits(const Address& source, Port port) const;
  /// Those that may have ended without an event, when it is time to ask.
  std::vector<Flow> silent(Instant now);
  [[nodiscard]] std::optional<Instant> next() const { return next_; }

 private:
  void begun(const Flow& flow, bool known, const Wanted& wanted, std::vector<FlowNews>& news);
  void answered(const Flow& flow, std::vector<FlowNews>& news);

  std::set<Flow> alive_;
  std::set<Flow> silent_;     // of these, the ones that were not seen to begin
  std::set<Flow> unanswered_; // and the ones that were, and the other end has not answered
  std::optional<Instant> next_;
};

} // namespace knock::keeper
