// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spa/base32.hpp"

#include <algorithm>

#include <sodium/utils.h>

namespace knock::base32 {
namespace {

/// All ones if first <= value <= last, else zero. For values below 256.
unsigned within(unsigned value, unsigned first, unsigned last) {
  return 0U - ((~((value - first) | (last - value)) >> 31U) & 1U);
}

/// 32 and more: no character of base32.
unsigned value_of(unsigned c) {
  const auto small = within(c, 'a', 'z') & (c - 'a');
  const auto capital = within(c, 'A', 'Z') & (c - 'A');
  const auto digit = within(c, '2', '7') & (c - '2' + 26);
  const auto known = within(c, 'a', 'z') | within(c, 'A', 'Z') | within(c, '2', '7');
  return small | capital | digit | (~known & 32U);
}

char letter_of(unsigned value) {
  return static_cast<char>('A' + value - (within(value, 26, 31) & ('A' + 26U - '2')));
}

} // namespace

Buffer::~Buffer() {
  sodium_memzero(bytes_.data(), bytes_.size());
}

bool Buffer::add(std::uint8_t byte) {
  if (size_ == bytes_.size()) return false;
  bytes_[size_++] = byte;
  return true;
}

bool Buffer::add(kn1::Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [&](auto byte) { return add(byte); });
}

void encode(kn1::Bytes bytes, std::string& out) {
  unsigned bits = 0; // as many as `waiting` says, at the bottom
  unsigned waiting = 0;
  for (const auto byte : bytes) {
    bits = (bits << 8U | byte) & 0xfffU;
    for (waiting += 8; waiting >= 5; waiting -= 5) out += letter_of(bits >> (waiting - 5) & 31U);
  }
  if (waiting != 0) out += letter_of(bits << (5 - waiting) & 31U);
}

bool decode(std::string_view text, Buffer& out) {
  unsigned bits = 0;
  unsigned waiting = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    const auto value = value_of(static_cast<std::uint8_t>(c));
    if (value >= 32) return false;
    bits = (bits << 5U | value) & 0xfffU;
    waiting += 5;
    if (waiting < 8) continue;
    waiting -= 8;
    if (!out.add(static_cast<std::uint8_t>(bits >> waiting & 0xffU))) return false;
  }
  return waiting < 5 && (bits & ((1U << waiting) - 1)) == 0;
}

} // namespace knock::base32
