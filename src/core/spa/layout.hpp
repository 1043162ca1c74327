// SPDX-License-Identifier: GPL-2.0-or-later
/// Layout: where the parts of a KN1 packet are, and the hashes that both ends make of them.
#pragma once

#include <string_view>

#include <knock/kn1.hpp>

namespace knock::kn1 {

inline constexpr std::size_t kHeadBytes = 48;
inline constexpr std::size_t kMacBytes = 16;

using HeadBytes = std::array<std::uint8_t, kHeadBytes>;
using Mac = std::array<std::uint8_t, kMacBytes>;

/// The Noise payload, tag included.
template<class Span>
auto sealed_of(Span packet) {
  return packet.subspan(kHeadBytes, packet.size() - kHeadBytes - kMacBytes);
}
template<class Span>
auto mac_of(Span packet) {
  return packet.last(kMacBytes);
}
/// m of a payload's plain text.
inline std::size_t m_bytes(std::size_t plain, Mode mode) {
  return mode == Mode::signed_key ? plain - kSignatureBytes : plain;
}

void put_number(std::uint64_t number, std::span<std::uint8_t> out); // big-endian, as long as `out`
std::uint64_t number_of(Bytes bytes);

HeadBytes encode(const Head& head);
/// What the head is hidden under: as random as its mac1.
HeadBytes pad(const Server& server, Bytes mac);
Mac mac_over(const HeadBytes& head, Bytes sealed, const MacKey& key);

/// "KN1", mode letter, kid, stamp.
using Prologue = std::array<std::uint8_t, 3 + 1 + 8 + 8>;
Prologue prologue_of(Mode mode, const Head& head);

/// What is signed. A fixed buffer, since libsodium signs what lies in one piece.
struct SignedText {
  SignedText(const Hash& h, Bytes m);
  ~SignedText();
  SignedText(const SignedText&) = delete;
  SignedText& operator=(const SignedText&) = delete;
  [[nodiscard]] Bytes text() const { return Bytes(bytes_).first(size_); }

 private:
  std::array<std::uint8_t, 8 + sizeof(Hash) + kMaxPlain> bytes_{};
  std::size_t size_;
};

} // namespace knock::kn1
