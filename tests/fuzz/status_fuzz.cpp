// SPDX-License-Identifier: GPL-2.0-or-later
#include <string_view>

#include <knock/status.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Status status;
  if (parse_status({reinterpret_cast<const char*>(data), size}, status)) (void)to_text(status, 0);
  return 0;
}
