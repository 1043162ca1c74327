// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/extension_read.hpp"

#include <nlohmann/json.hpp>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const wire::Bytes exact(bytes, bytes + size); // so that one byte too far is seen
  wire::for_each_message(exact, [&](const nlmsghdr* message) {
    const auto rule = wire::parse_extended_rule(message);
    if (!rule) return;
    for (const auto& extension : rule->extensions)
      for (const auto* family : {"ip", "ip6"}) (void)host::as_statement(extension, family).size();
  });
  return 0;
}
