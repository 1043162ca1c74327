// SPDX-License-Identifier: GPL-2.0-or-later
#include <string_view>

#include <knock/control.hpp>
#include <knock/result.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto parsed = parse_request(text); parsed.request) {
    const auto again = parse_request(encode(*parsed.request));
    KNOCK_ASSERT(again.request || encode(*parsed.request).size() > kMaxRequest);
    if (again.request) KNOCK_ASSERT(again.request->values == parsed.request->values);
  }
  Reply reply;
  (void)parse_reply(text, reply);
  if (const auto facts = parse_save_facts(reply.lines))
    KNOCK_ASSERT(parse_save_facts(encode(*facts)).value().unconfirmed == facts->unconfirmed);
  for (char c : printable(text))
    KNOCK_ASSERT(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
  return 0;
}
