// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/way_back.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace knock::netlink {

Result<WayBack> WayBack::open() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return tl::unexpected(socket.error());
  return WayBack(std::move(*socket));
}

std::string WayBack::to(const Address& host) {
  wire::MessageWriter writer(128);
  auto* message = mnl_nlmsg_put_header(writer.next());
  message->nlmsg_type = RTM_GETROUTE;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message->nlmsg_seq = socket_.next_sequence();
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  route->rtm_family = host.family == Family::ipv4 ? AF_INET : AF_INET6;
  route->rtm_dst_len = static_cast<std::uint8_t>(host.bytes().size() * 8);
  mnl_attr_put(message, RTA_DST, host.bytes().size(), host.bytes().data());
  writer.finish(message);
  std::uint32_t index = 0;
  const auto code = socket_.request(std::move(writer).take(), [&](const nlmsghdr* answer) {
    if (answer->nlmsg_type != RTM_NEWROUTE) return;
    wire::for_each_attribute(wire::attributes_of(answer, sizeof(rtmsg)),
                             [&](std::uint16_t type, std::span<const std::byte> value) {
                               if (type == RTA_OIF && value.size() == sizeof index)
                                 std::memcpy(&index, value.data(), sizeof index);
                             });
  });
  std::array<char, IF_NAMESIZE> name{};
  if (!code || *code != 0 || ::if_indextoname(index, name.data()) == nullptr) return {};
  return name.data();
}

} // namespace knock::netlink
