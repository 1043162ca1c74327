// SPDX-License-Identifier: GPL-2.0-or-later
#include <string_view>
#include <vector>

#include <knock/confirm.hpp>
#include <knock/last_good.hpp>
#include <knock/ledger.hpp>
#include <knock/result.hpp>
#include <knock/stamps.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto ports = parse_unconfirmed(text, "boot"))
    KNOCK_ASSERT(parse_unconfirmed(encode_unconfirmed(*ports, "boot"), "boot").value().size() ==
                 ports->size());
  if (const auto last = parse_last_good(text))
    KNOCK_ASSERT(parse_last_good(encode_last_good(*last)).value().texts.size() == last->texts.size());
  (void)parse_ceilings(text);
  (void)parse_stamp_file(std::as_bytes(std::span(text)), text.size() < 44 ? text : text.substr(8, 36));
  Ledger ledger({});
  const std::vector<Element> elements{
      {{*parse_address("192.0.2.1"), {}}, Seconds{5}, std::string(text), {}, {}}};
  ledger.adopt(
      elements, [](std::string_view) { return Terms{}; }, Instant{Seconds{1000}});
  KNOCK_ASSERT(ledger.grants().size() <= 1); // none behind its cap
  return 0;
}
