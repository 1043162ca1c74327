// SPDX-License-Identifier: GPL-2.0-or-later
/// FlowWatch: the connections that open grants have to know of, from the first packet to the last.
///
/// In:      events of conntrack; which connections are wanted.   Out: each one's begin, first answer and end,
/// once. Memory:  one entry for each wanted connection that lives. Threads: one, the event loop's. Time is
/// passed in. What began before we listened may never send an event (conntrack.hpp): it is asked for once a
/// second.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "netlink/conntrack.hpp"
#include "system/event_loop.hpp"

namespace knock::keeper {

class FlowWatch {
 public:
  using Wanted = std::function<bool(const Address& source, Port port)>;
  /// `known`: it may have begun long ago.
  struct News {
    FlowEvent event;
    bool known = false;
  };
  using Tell = std::function<void(const News&, Instant)>;

  /// Listens from now on. Errors: as Conntrack.
  static Result<std::unique_ptr<FlowWatch>> open(system::EventLoop& loop, Wanted wanted, Tell tell);

  /// Takes over the connections there are: after a start, and when events were lost.
  void look(Instant now);
  /// What waits, before somebody acts on what he believes.
  void drain(Instant now);
  /// Asks for those that may have ended silently. Returns when to call again.
  std::optional<Instant> work(Instant now);

 private:
  FlowWatch(system::EventLoop& loop, netlink::Conntrack conntrack, Wanted wanted, Tell tell);
  void begun(const Flow& flow, bool known, Instant now);
  void answered(const Flow& flow, Instant now);
  void ended(const Flow& flow, Instant now);

  netlink::Conntrack conntrack_;
  system::Watch watch_;
  Wanted wanted_;
  Tell tell_;
  std::set<Flow> alive_;
  std::set<Flow> silent_;     // of these, the ones we did not see begin
  std::set<Flow> unanswered_; // and the ones that we did, and the other end has not answered
  std::optional<Instant> next_poll_;
};

} // namespace knock::keeper
