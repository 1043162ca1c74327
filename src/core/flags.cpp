// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/flags.hpp>

#include <algorithm>
#include <array>

namespace knock {
namespace {

constexpr std::array<std::string_view, 6> kNames{"fin", "syn", "rst", "psh", "ack", "urg"};

} // namespace

std::optional<std::uint8_t> parse_flags(std::string_view text) {
  std::uint8_t flags = 0;
  for (;;) {
    const auto plus = std::min(text.find('+'), text.size());
    const auto* name = std::find(kNames.begin(), kNames.end(), text.substr(0, plus));
    if (name == kNames.end()) return std::nullopt;
    const auto flag = static_cast<std::uint8_t>(1U << static_cast<unsigned>(name - kNames.begin()));
    if ((flags & flag) != 0) return std::nullopt;
    flags |= flag;
    if (plus == text.size()) return flags;
    text.remove_prefix(plus + 1);
  }
}

std::string flags_text(std::uint8_t flags) {
  std::string text;
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if ((static_cast<unsigned>(flags) >> i & 1U) != 0) text.append(text.empty() ? "" : "+").append(kNames[i]);
  return text;
}

} // namespace knock
