// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/profile.hpp>
#include <knock/result.hpp>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ConfigText text{"fuzz", {reinterpret_cast<const char*>(data), size}, ConfigText::Part::main};
  const auto profile = parse_profile(text, "home");
  KNOCK_ASSERT(profile.value.has_value() == profile.findings.empty());
  if (profile.value)
    KNOCK_ASSERT(parse_profile({"", profile_text(*profile.value)}, "home").value == profile.value);
  const auto keys = parse_profile_keys(text);
  if (keys.value)
    KNOCK_ASSERT(parse_profile_keys({"", profile_keys_text(*keys.value).text}).value == keys.value);
  if (const auto line = parse_line(text.text))
    if (const auto joined = join_profile(*line, "home", kn1::Secret{}))
      KNOCK_ASSERT(parse_profile({"", profile_text(joined->profile)}, "home").value == joined->profile);
  return 0;
}
