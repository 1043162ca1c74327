// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstring>
#include <vector>

#include "wire/nflog.hpp"
#include <knock/result.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint32_t> aligned(size / 4 + 1); // as the socket's buffer is
  std::memcpy(aligned.data(), data, size);
  const std::span<const std::byte> datagram{reinterpret_cast<const std::byte*>(aligned.data()), size};
  std::vector<wire::Logged> logged;
  wire::parse_nflog(datagram, logged);
  for (const auto& one : logged)
    if (!one.payload.empty())
      KNOCK_ASSERT(one.payload.data() >= datagram.data() &&
                   one.payload.data() + one.payload.size() <= datagram.data() + datagram.size());
  return 0;
}
