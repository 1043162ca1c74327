// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/frame.hpp"

#include <knock/packet.hpp>

#include <cstdint>
#include <vector>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> exact(bytes + 1, bytes + size); // so that one byte too far is seen
  const auto link = wire::link_of(data[0] == 255 ? 276 : data[0]);
  const auto frame = link ? wire::parse_frame(*link, exact) : std::nullopt;
  if (frame) (void)parse_ends(frame->packet);
  return 0;
}
