// SPDX-License-Identifier: GPL-2.0-or-later
/// Netlink messages as bytes: what every wire room shares.
///
/// Memory:  received spans must be aligned to 4 bytes (NLMSG_ALIGNTO); `Bytes` always are.
/// Source:  linux/netlink.h, libmnl.
#pragma once

#include <libmnl/libmnl.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace knock::wire {

using Bytes = std::vector<std::byte>;

/// One answer to a request: error 0 is an ack.
struct Ack {
  std::uint32_t sequence = 0;
  int error = 0; ///< errno, positive
};

/// Reads an NLMSG_ERROR. Requires: message->nlmsg_type == NLMSG_ERROR. A truncated one reads as EBADMSG.
inline Ack parse_ack(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) return {message->nlmsg_seq, 74 /* EBADMSG */};
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  return {message->nlmsg_seq, -error->error};
}

/// Calls `visit(const nlmsghdr*)` for each whole message of a datagram; a broken tail ends it.
/// Not libmnl's walk: mnl_nlmsg_ok takes a length beyond 2 GiB for a negative one, and goes backwards.
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
