// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/record.hpp>
#include <knock/result.hpp>

#include <algorithm>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  Records read;
  const bool whole = parse_records(bytes, read);
  const auto count = read.completed.size() + read.kn1.size();
  KNOCK_ASSERT(whole != read.empty() && count <= kMaxRecords);
  std::vector<std::byte> again;
  for (const auto& one : read.completed) encode(one, again);
  for (const auto& one : read.kn1) encode(one, again);
  for (const auto& one : read.completed) KNOCK_ASSERT(parse_address(to_string(one.source)) == one.source);
  KNOCK_ASSERT(!whole || again.size() == bytes.size());
  if (read.completed.empty() || read.kn1.empty()) KNOCK_ASSERT(!whole || std::ranges::equal(again, bytes));
  return 0;
}
