// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/packet.hpp>
#include <knock/policy.hpp>
#include <knock/result.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = parse_packet({reinterpret_cast<const std::byte*>(data), size});
  if (parsed.reason == Unparsed::none && parsed.packet.source.family == Family::ipv4)
    for (std::size_t i = 4; i < 16; ++i) KNOCK_ASSERT(parsed.packet.source.octets[i] == 0);
  static const Kinds kinds({{{Protocol::tcp, 7}, kTcpFin},
                            {{Protocol::udp, 7}, 0, 3},
                            {{Protocol::udp, 7}, 0, {}, "word"},
                            {{Protocol::udp, 7}, 0, {}, "or"},
                            {echo_request(Protocol::icmp), 0, 4},
                            {echo_request(Protocol::icmp6), 0, {}, "ping"}});
  (void)kinds.token_of(parsed.packet);
  return 0;
}
