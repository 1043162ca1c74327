// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstring>
#include <vector>

#include "wire/nftables.hpp"
#include "wire/sock_diag.hpp"

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint32_t> aligned(size / 4 + 1);
  std::memcpy(aligned.data(), data, size);
  wire::for_each_message({reinterpret_cast<const std::byte*>(aligned.data()), size},
                         [&](const nlmsghdr* message) { (void)wire::parse_connection(message); });
  const std::span<const std::byte> key{reinterpret_cast<const std::byte*>(data), size};
  (void)wire::decode_grant_key(key);
  (void)wire::decode_port_key(key);
  return 0;
}
