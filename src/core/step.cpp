// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/step.hpp>

#include <array>

#include <fmt/format.h>

#include <knock/flags.hpp>

namespace knock {

std::string escaped_word(std::string_view word) {
  std::string out;
  for (const char c : word) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (byte >= 0x20 && byte < 0x7f)
      out += c;
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  return out;
}

std::string to_string(const PacketKind& kind) {
  auto text = is_ping(kind.port) ? std::string(to_string(kind.port.protocol)) : to_string(kind.port);
  if (kind.flags != 0) text += ":" + flags_text(kind.flags);
  if (kind.length) text += fmt::format("/len={}", *kind.length);
  if (!kind.word.empty()) text += fmt::format(":\"{}\"", escaped_word(kind.word));
  return text;
}

} // namespace knock
