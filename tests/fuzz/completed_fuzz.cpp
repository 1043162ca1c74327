// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completed.hpp>
#include <knock/result.hpp>

#include <algorithm>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  std::vector<Completed> read;
  const bool whole = parse_records(bytes, read);
  KNOCK_ASSERT(whole != read.empty() && read.size() <= kMaxRecords);
  std::vector<std::byte> again;
  for (const auto& completed : read) {
    encode(completed, again);
    KNOCK_ASSERT(parse_address(to_string(completed.source)) == completed.source);
  }
  if (whole) KNOCK_ASSERT(std::ranges::equal(again, bytes));
  return 0;
}
