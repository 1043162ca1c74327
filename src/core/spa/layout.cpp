// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spa/layout.hpp"

#include <algorithm>

#include <sodium/utils.h>

#include <knock/result.hpp>

#include "core/spa/blake2b.hpp"

namespace knock::kn1 {

void put_number(std::uint64_t number, std::span<std::uint8_t> out) {
  for (auto byte = out.rbegin(); byte != out.rend(); ++byte, number >>= 8U)
    *byte = static_cast<std::uint8_t>(number & 0xffU);
}

std::uint64_t number_of(Bytes bytes) {
  std::uint64_t number = 0;
  for (const auto byte : bytes) number = number << 8U | byte;
  return number;
}

HeadBytes encode(const Head& head) {
  HeadBytes bytes{};
  const auto rest = std::copy(head.e.begin(), head.e.end(), bytes.begin());
  std::copy(head.kid.bytes.begin(), head.kid.bytes.end(), rest);
  put_number(head.ts, std::span(bytes).last<8>());
  return bytes;
}

HeadBytes pad(const Server& server, Bytes mac) {
  return Blake2b<kHeadBytes>(server.hide.bytes).add("KN1 hide ").add(server.pub).add(mac).digest();
}

Mac mac_over(const HeadBytes& head, Bytes sealed, const MacKey& key) {
  return Blake2b<kMacBytes>(key.key.bytes).add(head).add(sealed).digest();
}

Prologue prologue_of(Mode mode, const Head& head) {
  Prologue bytes{'K', 'N', '1', static_cast<std::uint8_t>(mode)};
  std::copy(head.kid.bytes.begin(), head.kid.bytes.end(), bytes.begin() + 4);
  put_number(head.ts, std::span(bytes).last<8>());
  return bytes;
}

SignedText::SignedText(const Hash& h, Bytes m) {
  KNOCK_ASSERT(m.size() <= kMaxPlain);
  const auto label = bytes_of("KN1 sig ");
  auto end = std::copy(label.begin(), label.end(), bytes_.begin());
  end = std::copy(h.begin(), h.end(), end);
  end = std::copy(m.begin(), m.end(), end);
  size_ = static_cast<std::size_t>(end - bytes_.begin());
}

SignedText::~SignedText() {
  sodium_memzero(bytes_.data(), bytes_.size());
}

} // namespace knock::kn1
