// SPDX-License-Identifier: GPL-2.0-or-later
// Connections over loopback, in a network namespace of each test case, as the kernel tells of them.
#include "netlink/conntrack.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include "system/fd.hpp"
#include "netlink/ruleset.hpp"

using namespace knock;
using namespace knock::netlink;
using namespace knock::system;
using Kind = FlowEvent::Kind;

namespace {

constexpr Port kSsh{Protocol::tcp, 22};
constexpr Port kDns{Protocol::udp, 53};
constexpr const char* kTracking =
    "table inet t { chain c { type filter hook input priority 0; ct state invalid drop; }; }";

/// A namespace of our own with loopback up; that of before is back when it goes.
class Namespace {
 public:
  Namespace() : before_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    inside_ = ::unshare(CLONE_NEWNET) == 0;
    const Fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq lo{};
    std::strcpy(lo.ifr_name, "lo");
    lo.ifr_flags = IFF_UP;
    if (inside_) REQUIRE(::ioctl(any.get(), SIOCSIFFLAGS, &lo) == 0);
    if (!inside_) MESSAGE("skipped: no namespace without root (or: unshare -mrun)");
  }
  ~Namespace() { ::setns(before_.get(), CLONE_NEWNET); }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;
  explicit operator bool() const { return inside_; }

 private:
  Fd before_;
  bool inside_ = false;
};

/// The loopback address of a family, with a port.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size;
  Endpoint(int family, std::uint16_t port) {
    if (family == AF_INET) {
      auto* ip = reinterpret_cast<sockaddr_in*>(&storage);
      *ip = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
      size = sizeof *ip;
    } else {
      auto* ip = reinterpret_cast<sockaddr_in6*>(&storage);
      *ip = {AF_INET6, htons(port), 0, in6addr_loopback, 0};
      size = sizeof *ip;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Fd bound(int family, int type, std::uint16_t port) {
  Fd fd(::socket(family, type | SOCK_CLOEXEC, 0));
  const Endpoint here(family, port);
  REQUIRE(::bind(fd.get(), here.get(), here.size) == 0);
  return fd;
}

void connect_to(const Fd& fd, int family, std::uint16_t port) {
  const Endpoint there(family, port);
  REQUIRE(::connect(fd.get(), there.get(), there.size) == 0);
}

/// A TCP connection to port 22 of ourselves, from port 40000.
struct Connection {
  Fd listener, client, service;
  explicit Connection(int family = AF_INET, std::uint16_t port = kSsh.number)
      : listener(bound(family, SOCK_STREAM, kSsh.number)) {
    REQUIRE(::listen(listener.get(), 1) == 0);
    client = bound(family, SOCK_STREAM, 40'000);
    connect_to(client, family, port);
    service = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(service);
  }
};

Fd datagram_from_40000(int family = AF_INET) {
  Fd client = bound(family, SOCK_DGRAM, 40'000);
  connect_to(client, family, kDns.number);
  REQUIRE(::send(client.get(), "x", 1, 0) == 1);
  return client;
}

void reset(Fd& fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd = Fd();
}

/// What `conntrack -D` does to one flow.
void forget(const Flow& flow) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  REQUIRE(socket);
  auto message = wire::encode_flow_get(flow, socket->next_sequence());
  reinterpret_cast<nlmsghdr*>(message.data())->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
  const auto code = socket->request(message);
  REQUIRE(code);
  REQUIRE(*code == 0);
}

/// The first event of this kind to this port, waited for at most 10 s; all before it are dropped.
std::optional<Flow> next(Conntrack& conntrack, Kind kind, Port port) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    std::vector<FlowEvent> events;
    const auto drained = conntrack.drain(events);
    REQUIRE(drained);
    for (const auto& event : events)
      if (event.kind == kind && event.flow.port == port) return event.flow;
    pollfd ready{conntrack.fd(), POLLIN, 0};
    ::poll(&ready, 1, 100);
  }
  return std::nullopt;
}

bool ends(Conntrack& conntrack, Port port) {
  std::vector<FlowEvent> events;
  REQUIRE(conntrack.drain(events));
  return std::any_of(events.begin(), events.end(),
                     [&](auto& event) { return event.flow.port == port && event.kind == Kind::ended; });
}

bool listed(Conntrack& conntrack, const Flow& flow) {
  const auto flows = conntrack.flows();
  REQUIRE(flows);
  return std::find(flows->begin(), flows->end(), flow) != flows->end();
}

bool lives(Conntrack& conntrack, const Flow& flow) {
  const auto answer = conntrack.lives(flow);
  REQUIRE(answer);
  return *answer;
}

} // namespace

TEST_CASE("a TCP connection begins, lives, and has ended when both sides closed it") {
  for (const int family : {AF_INET, AF_INET6}) {
    const Namespace ours;
    if (!ours) return;
    REQUIRE(load_ruleset(kTracking));
    auto conntrack = Conntrack::open();
    REQUIRE(conntrack);
    Connection connection(family);
    const auto flow = next(*conntrack, Kind::begun, kSsh);
    REQUIRE(flow);
    CHECK(flow->source_port == 40'000);
    CHECK(flow->source == *parse_address(family == AF_INET ? "127.0.0.1" : "::1"));
    CHECK(flow->destination == flow->source);
    CHECK(lives(*conntrack, *flow));
    CHECK(listed(*conntrack, *flow));
    connection.client = Fd();
    CHECK(lives(*conntrack, *flow)); // half closed
    CHECK(next(*conntrack, Kind::answered, kSsh) == *flow);
    CHECK_FALSE(ends(*conntrack, kSsh));
    connection.service = Fd();
    CHECK(next(*conntrack, Kind::ended, kSsh) == *flow);
    CHECK_FALSE(lives(*conntrack, *flow)); // though the kernel keeps it for 120 s
    CHECK_FALSE(listed(*conntrack, *flow));
  }
}

TEST_CASE("a reset ends a TCP connection") {
  const Namespace ours;
  if (!ours) return;
  REQUIRE(load_ruleset(kTracking));
  auto conntrack = Conntrack::open();
  REQUIRE(conntrack);
  Connection connection;
  const auto flow = next(*conntrack, Kind::begun, kSsh);
  REQUIRE(flow);
  reset(connection.client);
  CHECK(next(*conntrack, Kind::ended, kSsh) == *flow);
  CHECK_FALSE(lives(*conntrack, *flow));
}

TEST_CASE("a UDP flow ends when the kernel forgets it, and its successor is another") {
  const Namespace ours;
  if (!ours) return;
  REQUIRE(load_ruleset(kTracking));
  auto conntrack = Conntrack::open();
  REQUIRE(conntrack);
  const Fd service = bound(AF_INET, SOCK_DGRAM, kDns.number);
  const Fd client = datagram_from_40000();
  const auto flow = next(*conntrack, Kind::begun, kDns);
  REQUIRE(flow);
  CHECK(lives(*conntrack, *flow));
  forget(*flow);
  CHECK(next(*conntrack, Kind::ended, kDns) == *flow);
  CHECK_FALSE(lives(*conntrack, *flow));
  REQUIRE(::send(client.get(), "y", 1, 0) == 1);
  const auto successor = next(*conntrack, Kind::begun, kDns);
  REQUIRE(successor);
  CHECK(lives(*conntrack, *successor));
  auto other = *successor;
  other.id ^= 1U;
  CHECK_FALSE(lives(*conntrack, other)); // the same ends, another flow
}

TEST_CASE("a flow behind DNAT is told, listed and found by the port its client sees") {
  const Namespace ours;
  if (!ours) return;
  REQUIRE(load_ruleset("table inet t { chain n { type nat hook output priority -100; "
                       "ip daddr 127.0.0.1 tcp dport 8022 dnat ip to 127.0.0.1:22; }; }"));
  auto conntrack = Conntrack::open();
  REQUIRE(conntrack);
  const Connection connection(AF_INET, 8022);
  const auto flow = next(*conntrack, Kind::begun, {Protocol::tcp, 8022});
  REQUIRE(flow);
  CHECK(lives(*conntrack, *flow));
  CHECK(listed(*conntrack, *flow));
}

TEST_CASE("a flow in a zone of its own is found there") {
  for (const auto* zone : {"ct zone set 7", "ct original zone set 7"}) {
    const Namespace ours;
    if (!ours) return;
    REQUIRE(load_ruleset(
        std::string("table inet t { chain z { type filter hook output priority -300; udp dport 53 ") + zone +
        "; }; chain c { type filter hook input priority 0; ct state invalid drop; }; }"));
    auto conntrack = Conntrack::open();
    REQUIRE(conntrack);
    const Fd service = bound(AF_INET, SOCK_DGRAM, kDns.number);
    const Fd client = datagram_from_40000();
    const auto flow = next(*conntrack, Kind::begun, kDns);
    REQUIRE(flow);
    CHECK(flow->zone == 7);
    CHECK(lives(*conntrack, *flow));
    CHECK(listed(*conntrack, *flow));
    auto elsewhere = *flow;
    elsewhere.zone = 0;
    CHECK_FALSE(lives(*conntrack, elsewhere));
  }
}

TEST_CASE("a flow that began unheard is listed and can be asked for, though it sends no event") {
  const Namespace ours;
  if (!ours) return;
  REQUIRE(load_ruleset(kTracking));
  std::string mode;
  std::ifstream("/proc/sys/net/netfilter/nf_conntrack_events") >> mode;
  if (mode != "2") {
    MESSAGE("skipped: nf_conntrack_events is " << mode << ", not 2 (Linux 5.19 and newer)");
    return;
  }
  Connection unheard;
  auto conntrack = Conntrack::open();
  REQUIRE(conntrack);
  const auto flows = conntrack->flows();
  REQUIRE(flows);
  REQUIRE(flows->size() == 1);
  const auto flow = flows->front();
  CHECK(flow.port == kSsh);
  CHECK(lives(*conntrack, flow));
  reset(unheard.client);
  CHECK_FALSE(lives(*conntrack, flow)); // so it has ended, and the kernel is done with it
  const Fd service = bound(AF_INET, SOCK_DGRAM, kDns.number);
  const Fd heard = datagram_from_40000(); // whatever the first had to say would come before this
  std::vector<FlowEvent> events;
  REQUIRE(conntrack->drain(events));
  REQUIRE_FALSE(events.empty());
  CHECK(events.back().flow.port == kDns);
  events.pop_back();
  if (events.empty()) return;
  MESSAGE("not silent: somebody listens in another network namespace");
  for (const auto& event : events) CHECK(event == FlowEvent{FlowEvent::Kind::ended, flow});
}

TEST_CASE("an overrun is told once, and all flows are there to be looked at") {
  constexpr std::uint16_t kFlows = 300;
  const Namespace ours;
  if (!ours) return;
  REQUIRE(load_ruleset(kTracking));
  auto conntrack = Conntrack::open();
  REQUIRE(conntrack);
  set_receive_buffer(conntrack->fd(), 4096);
  const Fd client = bound(AF_INET, SOCK_DGRAM, 40'000);
  for (std::uint16_t i = 0; i < kFlows; ++i) {
    const Endpoint there(AF_INET, static_cast<std::uint16_t>(1000 + i));
    ::sendto(client.get(), "x", 1, 0, there.get(), there.size); // nobody is there, and some sends say so
    ::sendto(client.get(), "x", 1, 0, there.get(), there.size);
  }
  std::vector<FlowEvent> events;
  auto drained = conntrack->drain(events);
  REQUIRE(drained);
  CHECK(drained->overran);
  CHECK(events.size() < kFlows);
  const auto flows = conntrack->flows();
  REQUIRE(flows);
  CHECK(flows->size() == kFlows);
  drained = conntrack->drain(events);
  REQUIRE(drained);
  CHECK_FALSE(drained->overran);
}

TEST_CASE("without CAP_NET_ADMIN it says what is missing") {
  const Namespace ours;
  if (!ours) return;
  if (::geteuid() != 0 || ::seteuid(65'534) != 0) { // its capabilities are not effective meanwhile
    MESSAGE("skipped: we cannot become nobody");
    return;
  }
  const auto conntrack = Conntrack::open();
  REQUIRE(::seteuid(0) == 0);
  REQUIRE_FALSE(conntrack);
  CHECK(conntrack.error().code == EPERM);
  CHECK(conntrack.error().advice.find("CAP_NET_ADMIN") != std::string::npos);
}
