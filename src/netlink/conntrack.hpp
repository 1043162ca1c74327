// SPDX-License-Identifier: GPL-2.0-or-later
/// Conntrack: which connections begin and end, and which are there.
///
/// In:      events of ctnetlink, and answers to what is asked.   Out: tcp and udp flows (wire/conntrack.hpp).
/// Threads: one. Nothing blocks. Closing the object ends the subscription.
/// Silence: a flow that began while no socket listened, here or in another network namespace, never sends an
///          event, neither UPDATE nor DESTROY, also when one listens later: with nf_conntrack_events = 2 (the
///          default since 5.19) the kernel gives events only to flows that begin under a listener
///          (nf_conntrack_ecache.c, nf_ct_ecache_ext_add; seen on 6.18, tests/kernel/flows_test.cpp). With 0
///          no flow sends any. So flows found by flows() at start have to be asked for by lives().
/// Hooks:   the kernel tracks only while some rule uses ct; without one there are no flows and no events.
#pragma once

#include <vector>

#include "netlink/socket.hpp"
#include "wire/conntrack.hpp"

namespace knock::netlink {

class Conntrack {
 public:
  /// Subscribes to flows of this network namespace.
  /// Errors: EPERM (CAP_NET_ADMIN is missing), EPROTONOSUPPORT (this kernel has no ctnetlink: only times can
  /// end a grant then).
  static Result<Conntrack> open();

  struct Drained {
    bool overran = false; ///< events were lost: look at flows() again
  };
  /// Appends the events that wait, or a first part of them, to `out`. The order is the kernel's.
  Result<Drained> drain(std::vector<FlowEvent>& out);

  /// All flows that are there and not closed, each once. A flow that begins or ends meanwhile may be missing.
  Result<std::vector<Flow>> flows();
  /// Whether just this flow, by its id, is there and not closed.
  Result<bool> lives(const Flow& flow);

  /// Readable when events wait.
  [[nodiscard]] int fd() const { return events_.fd(); }

 private:
  Conntrack(NetlinkSocket events, NetlinkSocket requests)
      : events_(std::move(events)), requests_(std::move(requests)) {}
  /// What the kernel answers to a get of the flow between these ends: errno and the flow.
  Result<int> get(const Flow& flow, std::optional<Flow>& found);

  NetlinkSocket events_;
  NetlinkSocket requests_; // answers do not have to pass through a queue of events
};

} // namespace knock::netlink
