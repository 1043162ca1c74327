// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completed.hpp>
#include <knock/result.hpp>

#include <algorithm>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  std::vector<Completed> grants;
  const bool whole = parse_completed(bytes, grants);
  KNOCK_ASSERT(whole ? grants.size() * sizeof(Completed) == size : grants.empty());
  if (whole) KNOCK_ASSERT(std::ranges::equal(std::as_bytes(std::span(grants)), bytes));
  for (const auto& grant : grants) KNOCK_ASSERT(parse_address(to_string(grant.source)) == grant.source);
  return 0;
}
