// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstring>
#include <vector>

#include "wire/conntrack.hpp"
#include <knock/result.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::Bytes datagram(size); // aligned as the socket's buffer is, and no byte longer
  if (size != 0) std::memcpy(datagram.data(), data, size);
  wire::for_each_message(datagram, [](const nlmsghdr* message) {
    const auto event = wire::parse_flow_event(message);
    const auto flow = wire::parse_flow(message);
    if (event && flow) KNOCK_ASSERT(event->flow == *flow);
    if (flow) KNOCK_ASSERT(!wire::encode_flow_get(*flow, 1).empty());
  });
  return 0;
}
