// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/conntrack.hpp"

#include <arpa/inet.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <knock/result.hpp>

namespace knock::wire {
namespace {

constexpr std::size_t kKnownBytes = 512; // all we read of one message takes 144

constexpr auto type_of(unsigned message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8U | message);
}

/// An attribute that we read: so many bytes, or others inside.
struct Known {
  std::uint16_t type;
  std::uint16_t bytes;
  std::span<const Known> inside{};
};

constexpr Known kIp[] = {{CTA_IP_V4_SRC, 4}, {CTA_IP_V4_DST, 4}, {CTA_IP_V6_SRC, 16}, {CTA_IP_V6_DST, 16}};
constexpr Known kProtocol[] = {{CTA_PROTO_NUM, 1}, {CTA_PROTO_SRC_PORT, 2}, {CTA_PROTO_DST_PORT, 2}};
constexpr Known kTuple[] = {{CTA_TUPLE_IP, 0, kIp}, {CTA_TUPLE_PROTO, 0, kProtocol}, {CTA_TUPLE_ZONE, 2}};
constexpr Known kTcp[] = {{CTA_PROTOINFO_TCP_STATE, 1}};
constexpr Known kProtocolInfo[] = {{CTA_PROTOINFO_TCP, 0, kTcp}};
constexpr Known kFlow[] = {{CTA_TUPLE_ORIG, 0, kTuple},
                           {CTA_STATUS, 4},
                           {CTA_PROTOINFO, 0, kProtocolInfo},
                           {CTA_ID, 4},
                           {CTA_ZONE, 2}};

/// Copies what we read into `out`. The library may see nothing else: libnetfilter_conntrack 1.0.9 ends the
/// process at an attribute of the wrong length (parse_mnl.c, abi_breakage), and reads names beyond their end.
/// Returns false when a length is wrong or the room is used up.
bool copy_known(std::span<const std::byte> attributes, std::span<const Known> known, nlmsghdr* out) {
  bool good = true;
  const bool whole =
      for_each_attribute(attributes, [&](std::uint16_t type, std::span<const std::byte> content) {
        const auto found =
            std::find_if(known.begin(), known.end(), [&](auto& one) { return one.type == type; });
        if (!good || found == known.end()) return;
        if (found->inside.empty()) {
          good = content.size() == found->bytes &&
                 mnl_attr_put_check(out, kKnownBytes, type, content.size(), content.data());
          return;
        }
        auto* nest = mnl_attr_nest_start_check(out, kKnownBytes, type);
        good = nest != nullptr && copy_known(content, found->inside, out);
        if (good) mnl_attr_nest_end(out, nest);
      });
  return whole && good;
}

using Conntrack = std::unique_ptr<nf_conntrack, void (*)(nf_conntrack*)>;

Conntrack make_conntrack() {
  Conntrack made(nfct_new(), nfct_destroy);
  KNOCK_ASSERT(made != nullptr);
  return made;
}

std::optional<Address> address_of(const nf_conntrack* ct, Family family, nf_conntrack_attr v4,
                                  nf_conntrack_attr v6) {
  Address address{family, {}};
  const auto* octets = nfct_get_attr(ct, family == Family::ipv4 ? v4 : v6);
  if (octets == nullptr) return std::nullopt;
  std::memcpy(address.octets.data(), octets, address.bytes().size());
  return address;
}

/// A flow and how far its connection is.
struct State {
  Flow flow;
  bool closed = false;   ///< TCP that carries nothing any more
  bool answered = false; ///< a packet of the other end was seen
};

std::optional<State> state_of(const nf_conntrack* ct, Family family) {
  for (const auto needed : {ATTR_ORIG_L4PROTO, ATTR_ORIG_PORT_SRC, ATTR_ORIG_PORT_DST, ATTR_ID})
    if (nfct_attr_is_set(ct, needed) <= 0) return std::nullopt;
  const auto source = address_of(ct, family, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
  const auto destination = address_of(ct, family, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
  const auto protocol = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);
  if (!source || !destination || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)) return std::nullopt;
  State state;
  state.flow = {*source,
                ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC)),
                *destination,
                {Protocol{protocol}, ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST))},
                nfct_get_attr_u32(ct, ATTR_ID),
                nfct_get_attr_u16(ct, nfct_attr_is_set(ct, ATTR_ZONE) > 0 ? ATTR_ZONE : ATTR_ORIG_ZONE)};
  state.answered = (nfct_get_attr_u32(ct, ATTR_STATUS) & IPS_SEEN_REPLY) != 0; // 0 when it was not sent
  if (protocol == IPPROTO_TCP && nfct_attr_is_set(ct, ATTR_TCP_STATE) > 0) {
    const auto tcp = nfct_get_attr_u8(ct, ATTR_TCP_STATE);
    state.closed =
        tcp == TCP_CONNTRACK_TIME_WAIT || tcp == TCP_CONNTRACK_LAST_ACK || tcp == TCP_CONNTRACK_CLOSE;
  }
  return state;
}

std::optional<State> parse_state(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) return std::nullopt;
  const auto family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family;
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  alignas(nlmsghdr) std::array<char, kKnownBytes> known;
  auto* copy = mnl_nlmsg_put_header(known.data());
  if (!copy_known(attributes_of(message, sizeof(nfgenmsg)), kFlow, copy)) return std::nullopt;
  const auto ct = make_conntrack();
  if (nfct_payload_parse(mnl_nlmsg_get_payload(copy), mnl_nlmsg_get_payload_len(copy), family, ct.get()) != 0)
    return std::nullopt;
  return state_of(ct.get(), family == AF_INET ? Family::ipv4 : Family::ipv6);
}

nlmsghdr* begin(MessageWriter& writer, unsigned type, Family family, std::uint16_t flags,
                std::uint32_t sequence) {
  auto* message = mnl_nlmsg_put_header(writer.next());
  message->nlmsg_type = type_of(type);
  message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  message->nlmsg_seq = sequence;
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family == Family::ipv4 ? AF_INET : AF_INET6;
  header->version = NFNETLINK_V0;
  return message;
}

/// About the flow between these ends; of an id, unless it is 0.
Bytes encode_ask(unsigned type, const Flow& flow, std::uint32_t id, std::uint32_t sequence) {
  MessageWriter writer(kKnownBytes);
  auto* message = begin(writer, type, flow.source.family, NLM_F_ACK, sequence);
  const auto ct = make_conntrack();
  const bool ipv4 = flow.source.family == Family::ipv4;
  nfct_set_attr_u8(ct.get(), ATTR_ORIG_L3PROTO, ipv4 ? AF_INET : AF_INET6);
  nfct_set_attr(ct.get(), ipv4 ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV6_SRC, flow.source.octets.data());
  nfct_set_attr(ct.get(), ipv4 ? ATTR_ORIG_IPV4_DST : ATTR_ORIG_IPV6_DST, flow.destination.octets.data());
  nfct_set_attr_u8(ct.get(), ATTR_ORIG_L4PROTO, static_cast<std::uint8_t>(flow.port.protocol));
  nfct_set_attr_u16(ct.get(), ATTR_ORIG_PORT_SRC, htons(flow.source_port));
  nfct_set_attr_u16(ct.get(), ATTR_ORIG_PORT_DST, htons(flow.port.number));
  if (flow.zone != 0) nfct_set_attr_u16(ct.get(), ATTR_ZONE, flow.zone); // in host order, unlike the ports
  nfct_nlmsg_build(message, ct.get());
  if (id != 0) mnl_attr_put_u32(message, CTA_ID, htonl(id));
  writer.finish(message);
  return std::move(writer).take();
}

} // namespace

std::optional<FlowEvent> parse_flow_event(const nlmsghdr* message) {
  const bool destroyed = message->nlmsg_type == type_of(IPCTNL_MSG_CT_DELETE);
  if (!destroyed && message->nlmsg_type != type_of(IPCTNL_MSG_CT_NEW)) return std::nullopt;
  const auto state = parse_state(message);
  if (!state) return std::nullopt;
  if (destroyed) return FlowEvent{FlowEvent::Kind::ended, state->flow};
  // NEW and UPDATE differ in their flags alone (ctnetlink_conntrack_event).
  if ((message->nlmsg_flags & NLM_F_CREATE) != 0) return FlowEvent{FlowEvent::Kind::begun, state->flow};
  if (state->closed) return FlowEvent{FlowEvent::Kind::ended, state->flow};
  if (state->answered) return FlowEvent{FlowEvent::Kind::answered, state->flow};
  return std::nullopt;
}

std::optional<Flow> parse_flow(const nlmsghdr* message) {
  if (message->nlmsg_type != type_of(IPCTNL_MSG_CT_NEW)) return std::nullopt;
  const auto state = parse_state(message);
  if (!state || state->closed) return std::nullopt;
  return state->flow;
}

Bytes encode_flow_dump(Family family, std::uint32_t sequence) {
  MessageWriter writer(64);
  writer.finish(begin(writer, IPCTNL_MSG_CT_GET, family, NLM_F_DUMP, sequence));
  return std::move(writer).take();
}

Bytes encode_flow_get(const Flow& flow, std::uint32_t sequence) {
  return encode_ask(IPCTNL_MSG_CT_GET, flow, 0, sequence);
}

Bytes encode_flow_delete(const Flow& flow, std::uint32_t sequence) {
  return encode_ask(IPCTNL_MSG_CT_DELETE, flow, flow.id, sequence);
}

} // namespace knock::wire
