// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/nflog.hpp"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink_log.h>

extern "C" {
// The library's own header of the same structures clashes with the kernel's; these are all we take from it.
struct nlmsghdr* nflog_nlmsg_put_header(char* buf, uint8_t type, uint8_t family, uint16_t qnum);
int nflog_attr_put_cfg_mode(struct nlmsghdr* nlh, uint8_t mode, uint32_t range);
int nflog_attr_put_cfg_cmd(struct nlmsghdr* nlh, uint8_t cmd);
}

namespace knock::wire {
namespace {

constexpr std::size_t kConfigBytes = 256; // a header, five small attributes

nlmsghdr* begin(MessageWriter& writer, std::uint16_t group, std::uint32_t sequence) {
  auto* message = nflog_nlmsg_put_header(writer.next(), NFULNL_MSG_CONFIG, AF_UNSPEC, group);
  message->nlmsg_flags |= NLM_F_ACK;
  message->nlmsg_seq = sequence;
  return message;
}

std::optional<std::chrono::nanoseconds> parse_stamp(std::span<const std::byte> content) {
  nfulnl_msg_packet_timestamp stamp{};
  if (content.size() != sizeof stamp) return std::nullopt;
  std::memcpy(&stamp, content.data(), sizeof stamp);
  const auto seconds = be64toh(stamp.sec);
  const auto micros = be64toh(stamp.usec);
  if (seconds >> 32U != 0 || micros >= 1'000'000) return std::nullopt; // no time of this or the next 80 years
  return std::chrono::seconds(seconds) + std::chrono::microseconds(micros);
}

std::optional<Logged> parse_packet_message(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) return std::nullopt;
  Logged logged;
  logged.group = ntohs(static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->res_id);
  bool packet = false;
  const bool whole = for_each_attribute(
      attributes_of(message, sizeof(nfgenmsg)), [&](std::uint16_t type, std::span<const std::byte> content) {
        if (type == NFULA_PAYLOAD) {
          logged.payload = content;
          packet = true;
        } else if (type == NFULA_SEQ && content.size() == sizeof(std::uint32_t)) {
          std::uint32_t number = 0;
          std::memcpy(&number, content.data(), sizeof number);
          logged.sequence = ntohl(number);
        } else if (type == NFULA_TIMESTAMP) {
          logged.stamp = parse_stamp(content);
        }
      });
  if (!whole || !packet) return std::nullopt;
  return logged;
}

} // namespace

Bytes encode_nflog_bind(std::uint16_t group, std::uint32_t sequence) {
  MessageWriter writer(kConfigBytes);
  auto* message = begin(writer, group, sequence);
  nflog_attr_put_cfg_cmd(message, NFULNL_CFG_CMD_BIND);
  writer.finish(message);
  return std::move(writer).take();
}

Bytes encode_nflog_settings(std::uint16_t group, std::uint32_t sequence, const NflogSettings& settings) {
  MessageWriter writer(kConfigBytes);
  auto* message = begin(writer, group, sequence);
  nflog_attr_put_cfg_mode(message, NFULNL_COPY_PACKET, settings.copy_bytes);
  mnl_attr_put_u32(message, NFULA_CFG_NLBUFSIZ, htonl(settings.buffer_bytes));
  mnl_attr_put_u32(message, NFULA_CFG_TIMEOUT, htonl(settings.timeout_centiseconds));
  mnl_attr_put_u32(message, NFULA_CFG_QTHRESH, htonl(settings.queue_threshold));
  mnl_attr_put_u16(message, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
  writer.finish(message);
  return std::move(writer).take();
}

Bytes encode_nflog_copy(std::uint16_t group, std::uint32_t copy_bytes) {
  MessageWriter writer(kConfigBytes);
  auto* message = begin(writer, group, 0);
  message->nlmsg_flags = NLM_F_REQUEST;
  nflog_attr_put_cfg_mode(message, NFULNL_COPY_PACKET, copy_bytes);
  writer.finish(message);
  return std::move(writer).take();
}

NflogDatagram parse_nflog(std::span<const std::byte> datagram, std::vector<Logged>& out) {
  constexpr auto kPacketType = static_cast<std::uint16_t>(NFNL_SUBSYS_ULOG << 8U | NFULNL_MSG_PACKET);
  NflogDatagram result;
  for_each_message(datagram, [&](const nlmsghdr* message) {
    if (message->nlmsg_type == NLMSG_DONE) return; // ends a datagram of several packets
    if (message->nlmsg_type == NLMSG_ERROR) {
      result.ack = parse_ack(message);
      return;
    }
    const auto logged = message->nlmsg_type == kPacketType ? parse_packet_message(message) : std::nullopt;
    if (logged)
      out.push_back(*logged);
    else
      ++result.malformed;
  });
  return result;
}

} // namespace knock::wire
