// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1_client.hpp>
#include <knock/result.hpp>

#include <algorithm>

using namespace knock::kn1;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes m(data, size);
  const auto request = parse_request(m);
  if (!request) return 0;
  std::vector<std::uint8_t> again(size);
  KNOCK_ASSERT(encode(*request, again));
  KNOCK_ASSERT(std::ranges::equal(again, m));
  return 0;
}
