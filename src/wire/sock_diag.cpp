// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/sock_diag.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace knock::wire {
namespace {

constexpr std::uint32_t
    kAlive = // ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK of net/tcp_states.h
    1U << 1U | 1U << 4U | 1U << 5U | 1U << 8U | 1U << 9U;
constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; // RFC 4291 2.5.5.2

Address address_of(std::uint8_t family, const __be32 (&words)[4]) {
  Address address;
  const auto* octets = reinterpret_cast<const std::uint8_t*>(words);
  if (family == AF_INET) {
    std::memcpy(address.octets.data(), octets, 4);
  } else if (std::equal(kMapped.begin(), kMapped.end(), octets)) {
    std::memcpy(address.octets.data(), octets + kMapped.size(), 4);
  } else {
    address.family = Family::ipv6;
    std::memcpy(address.octets.data(), octets, 16);
  }
  return address;
}

} // namespace

Bytes encode_connection_dump(Family family, std::uint32_t sequence) {
  MessageWriter writer(256);
  auto* message = mnl_nlmsg_put_header(writer.next());
  message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message->nlmsg_seq = sequence;
  auto* request =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(message, sizeof(inet_diag_req_v2)));
  request->sdiag_family = family == Family::ipv4 ? AF_INET : AF_INET6;
  request->sdiag_protocol = IPPROTO_TCP;
  request->idiag_states = kAlive;
  writer.finish(message);
  return std::move(writer).take();
}

Bytes encode_connection_end(const Flow& flow, std::uint32_t sequence) {
  MessageWriter writer(256);
  auto* message = mnl_nlmsg_put_header(writer.next());
  message->nlmsg_type = SOCK_DESTROY;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message->nlmsg_seq = sequence;
  auto* request =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(message, sizeof(inet_diag_req_v2)));
  request->sdiag_family = flow.source.family == Family::ipv4 ? AF_INET : AF_INET6;
  request->sdiag_protocol = IPPROTO_TCP;
  request->idiag_states = ~0U;
  request->id.idiag_sport = htons(flow.port.number);
  request->id.idiag_dport = htons(flow.source_port);
  std::memcpy(request->id.idiag_src, flow.destination.octets.data(), flow.destination.octets.size());
  std::memcpy(request->id.idiag_dst, flow.source.octets.data(), flow.source.octets.size());
  request->id.idiag_cookie[0] = request->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  writer.finish(message);
  return std::move(writer).take();
}

std::optional<Flow> parse_connection(const nlmsghdr* message) {
  if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
      mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg))
    return std::nullopt;
  const auto* socket = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(message));
  Flow flow;
  flow.source = address_of(socket->idiag_family, socket->id.idiag_dst);
  flow.source_port = ntohs(socket->id.idiag_dport);
  flow.destination = address_of(socket->idiag_family, socket->id.idiag_src);
  flow.port = {Protocol::tcp, ntohs(socket->id.idiag_sport)};
  return flow;
}

} // namespace knock::wire
