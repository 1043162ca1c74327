// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spa/base32.hpp"
#include "core/spa/blake2b.hpp"
#include <knock/result.hpp>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(data, data + size);
  std::string text(bytes.begin(), bytes.end());
  if (const auto answer = parse_answer(text)) KNOCK_ASSERT(parse_answer(encode(*answer)) == *answer);
  (void)parse_line(text);
  const auto sum = kn1::Blake2b<32>().add(bytes).digest(); // then as what stands in a line
  bytes.insert(bytes.end(), sum.begin(), sum.begin() + 4);
  base32::encode(bytes, text = "KNOCKGATE:");
  const auto again =
      parse_line(text).map([](const Line& line) { return encode(line); }).value_or(std::nullopt);
  KNOCK_ASSERT(!again || encode(*parse_line(*again)) == again);
  return 0;
}
