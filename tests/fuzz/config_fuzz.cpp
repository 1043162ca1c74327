// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <string>

#include <knock/config.hpp>
#include <knock/result.hpp>
#include <knock/ruleset.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::array texts{
      ConfigText{"fuzz.toml", {reinterpret_cast<const char*>(data), size}, ConfigText::Part::main}};
  const auto parsed = parse_config(texts);
  KNOCK_ASSERT(parsed.config || !parsed.findings.empty());
  for (const auto& finding : parsed.findings)
    KNOCK_ASSERT(to_string(finding).find('\n') == std::string::npos);
  if (parsed.config) (void)elements_text("knockgate", Mode::gate, static_sets_of(*parsed.config));
  return 0;
}
