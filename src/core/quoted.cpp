// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/quoted.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace knock {
namespace {

template<class Plain>
std::string escaped_but(std::string_view text, Plain&& plain) {
  std::string escaped;
  for (char c : text) {
    if (plain(c))
      escaped += c;
    else
      escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return escaped;
}

} // namespace

std::string escaped(std::string_view text) {
  return escaped_but(text, [](char c) { return c >= 0x20 && c < 0x7f && c != '\\'; });
}

std::string on_one_line(std::string_view text) {
  return escaped_but(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

std::string in_quotes(std::string_view value) {
  const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  if (!value.empty() && std::all_of(value.begin(), value.end(), plain)) return std::string{value};
  return '"' + escaped_but(value, [&](char c) { return plain(c) || c == ' '; }) + '"';
}

} // namespace knock
