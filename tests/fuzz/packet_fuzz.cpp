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
  (void)token_of(parsed.packet);
  return 0;
}
