// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/result.hpp>
#include <knock/run.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto request = parse_run({reinterpret_cast<const char*>(data), size});
  if (!request) return 0;
  KNOCK_ASSERT(is_command(request->argv) && parse_run(encode(*request)) == *request);
  KNOCK_ASSERT(environment_of(*request).size() == 6);
  return 0;
}
