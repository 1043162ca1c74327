// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/conntrack.hpp"

#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netlink.h>

#include <algorithm>

namespace knock::netlink {
namespace {

constexpr std::uint32_t kGroups =
    NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY;
constexpr std::uint32_t kEventBytes = 4U << 20U; // 6,500 events: 1,280 bytes each, as the kernel counts
constexpr int kFairEvents = 4'096;               // of one drain: a busy router must not starve the rest
constexpr int kDumpTries = 4;                    // a table that grows meanwhile interrupts a dump

Error open_error(int code) {
  if (code == EPERM)
    return system::system_error("listen to connection tracking", code,
                                "run as root, or give the service AmbientCapabilities=CAP_NET_ADMIN");
  // nfnetlink says EINVAL for a subsystem that is neither there nor to be loaded (nfnetlink_rcv_msg).
  if (code == EINVAL || code == ENOENT || code == EPROTONOSUPPORT || code == EOPNOTSUPP)
    return system::system_error("listen to connection tracking: this kernel has no ctnetlink",
                                EPROTONOSUPPORT,
                                "load nf_conntrack_netlink; without it on-disconnect ends by time alone");
  return system::system_error("listen to connection tracking", code, "");
}

} // namespace

Result<Conntrack> Conntrack::open() {
  auto events = NetlinkSocket::open(NETLINK_NETFILTER, kGroups);
  if (!events) return tl::unexpected(open_error(events.error().code));
  set_receive_buffer(events->fd(), kEventBytes);
  auto requests = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!requests) return tl::unexpected(open_error(requests.error().code));
  Conntrack conntrack(std::move(*events), std::move(*requests));
  // A group can be joined where nobody will ever send to it. That no such flow is there, ctnetlink alone
  // says.
  std::optional<Flow> none;
  const auto code = conntrack.get({}, none);
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 && *code != ENOENT) return tl::unexpected(open_error(*code));
  return conntrack;
}

Result<Conntrack::Drained> Conntrack::drain(std::vector<FlowEvent>& out) {
  Drained drained;
  for (int i = 0; i < kFairEvents; ++i) {
    const auto datagram = events_.receive();
    if (!datagram) {
      if (datagram.error().code != ENOBUFS) return tl::unexpected(datagram.error());
      drained.overran = true; // said once, before what still waits
      continue;
    }
    if (!*datagram) return drained;
    wire::for_each_message(**datagram, [&](const nlmsghdr* message) {
      if (auto event = wire::parse_flow_event(message)) out.push_back(*event);
    });
  }
  return drained; // the descriptor stays readable
}

Result<std::vector<Flow>> Conntrack::flows() {
  std::vector<Flow> found;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    Result<int> code = EINTR;
    const auto before = found.size();
    for (int tries = 0; tries < kDumpTries && code && *code == EINTR; ++tries) {
      found.resize(before);
      code = requests_.dump(wire::encode_flow_dump(family, requests_.next_sequence()),
                            [&](const nlmsghdr* message) {
                              if (auto flow = wire::parse_flow(message)) found.push_back(*flow);
                            });
    }
    if (!code) return tl::unexpected(code.error());
    if (*code != 0 && *code != EINTR)
      return tl::unexpected(system::system_error("list tracked connections", *code, ""));
  }
  // A table that is resized meanwhile shows some twice.
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Result<bool> Conntrack::lives(const Flow& flow) {
  std::optional<Flow> found;
  const auto code = get(flow, found);
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 && *code != ENOENT)
    return tl::unexpected(system::system_error("look for a tracked connection", *code, ""));
  return found && found->id == flow.id;
}

Result<int> Conntrack::get(const Flow& flow, std::optional<Flow>& found) {
  return requests_.dump(wire::encode_flow_get(flow, requests_.next_sequence()),
                        [&](const nlmsghdr* message) { found = wire::parse_flow(message); });
}

} // namespace knock::netlink
