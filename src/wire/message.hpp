// SPDX-License-Identifier: GPL-2.0-or-later
/// Netlink messages as bytes: what every wire room shares.
///
/// Memory:  received spans must be aligned to 4 bytes (NLMSG_ALIGNTO); `Bytes` always are.
/// Safety:  the two walks below never leave the bytes that they are given. libmnl's do: mnl_nlmsg_ok takes
///          a length beyond 2 GiB for a negative one and goes backwards; mnl_attr_ok, and so mnl_attr_parse
///          and what other libraries build on it, believes the padded length of a message: up to three
///          bytes behind its end.
/// Source:  linux/netlink.h, libmnl.
#pragma once

#include <libmnl/libmnl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace knock::wire {

using Bytes = std::vector<std::byte>;

/// One answer to a request: error 0 is an ack.
struct Ack {
  std::uint32_t sequence = 0;
  int error = 0; ///< errno, positive
  /// Of the attribute that was refused, from the first byte of the request; needs NETLINK_EXT_ACK.
  std::optional<std::uint32_t> offset{};
};

/// Calls `visit(const nlmsghdr*)` for each whole message of a datagram; a broken tail ends it.
template<class Visit>
void for_each_message(std::span<const std::byte> datagram, Visit&& visit) {
  while (datagram.size() >= sizeof(nlmsghdr)) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(datagram.data());
    if (message->nlmsg_len < sizeof(nlmsghdr) || message->nlmsg_len > datagram.size()) return;
    visit(message);
    const std::size_t aligned = (std::size_t{message->nlmsg_len} + 3U) & ~std::size_t{3};
    datagram = datagram.subspan(aligned < datagram.size() ? aligned : datagram.size());
  }
}

/// The attributes of a whole message: what stands behind its header and `fixed` bytes more.
inline std::span<const std::byte> attributes_of(const nlmsghdr* message, std::size_t fixed) {
  const std::span whole(reinterpret_cast<const std::byte*>(message), message->nlmsg_len);
  return whole.subspan(std::min(sizeof(nlmsghdr) + fixed, whole.size()));
}

/// Calls `visit(type, payload)` for each whole attribute, of a message or inside of another attribute.
/// Returns false when one that is not whole ended it.
template<class Visit>
bool for_each_attribute(std::span<const std::byte> bytes, Visit&& visit) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > bytes.size()) return false;
    visit(static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK),
          bytes.subspan(sizeof header, header.nla_len - sizeof header));
    const std::size_t aligned = (std::size_t{header.nla_len} + 3U) & ~std::size_t{3};
    bytes = bytes.subspan(std::min(aligned, bytes.size()));
  }
  return true;
}

/// Reads an NLMSG_ERROR. Requires: message->nlmsg_type == NLMSG_ERROR. A truncated one, and one with a number
/// that is no errno (linux/err.h: 1..4095, negated), reads as EBADMSG.
inline Ack parse_ack(const nlmsghdr* message) {
  constexpr int kBadMessage = 74; // EBADMSG
  if (message->nlmsg_len < sizeof(nlmsghdr) + sizeof(nlmsgerr)) return {message->nlmsg_seq, kBadMessage};
  const auto& answer = *static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  const bool is_errno = answer.error <= 0 && answer.error >= -4095;
  Ack ack{message->nlmsg_seq, is_errno ? -answer.error : kBadMessage};
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return ack;
  // Attributes stand behind the header of the request, or behind all of it.
  std::size_t echoed = sizeof(nlmsgerr);
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0)
    echoed += (std::max<std::size_t>(answer.msg.nlmsg_len, sizeof(nlmsghdr)) - sizeof(nlmsghdr) + 3U) &
              ~std::size_t{3};
  for_each_attribute(attributes_of(message, echoed),
                     [&](std::uint16_t type, std::span<const std::byte> value) {
                       std::uint32_t offset = 0;
                       if (type != NLMSGERR_ATTR_OFFS || value.size() != sizeof offset) return;
                       std::memcpy(&offset, value.data(), sizeof offset);
                       ack.offset = offset;
                     });
  return ack;
}

/// Appends messages to a buffer with room for `capacity` bytes; libmnl writes without looking.
class MessageWriter {
 public:
  explicit MessageWriter(std::size_t capacity) : bytes_(capacity) {}

  /// Where the next message is to be built.
  [[nodiscard]] char* next() { return reinterpret_cast<char*>(bytes_.data() + used_); }
  /// The message at `next()` is whole.
  void finish(const nlmsghdr* message) { used_ += NLMSG_ALIGN(message->nlmsg_len); }
  [[nodiscard]] Bytes take() && {
    bytes_.resize(used_);
    return std::move(bytes_);
  }

 private:
  Bytes bytes_;
  std::size_t used_ = 0;
};

} // namespace knock::wire
