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
  std::vector<wire::RawElement> elements;
  wire::for_each_message({reinterpret_cast<const std::byte*>(aligned.data()), size},
                         [&](const nlmsghdr* message) {
                           wire::parse_elements(message, elements);
                           (void)wire::parse_set(message);
                           (void)wire::parse_established(message);
                         });
  for (const auto& element : elements) {
    (void)wire::decode_grant_key(element.key);
    (void)wire::decode_port_key(element.key);
  }
  return 0;
}
