// SPDX-License-Identifier: GPL-2.0-or-later
/// Base32: bytes as capitals and digits, without padding. No branch and no table looks at what is encoded.
///
/// Source: RFC 4648, 6.
#pragma once

#include <string>
#include <string_view>

#include <knock/line.hpp>

namespace knock::base32 {

/// Bytes of a line while it is read or written; overwritten at its end.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  /// Returns false when it is full.
  bool add(std::uint8_t byte);
  bool add(kn1::Bytes bytes);
  [[nodiscard]] kn1::Bytes bytes() const { return kn1::Bytes(bytes_).first(size_); }

 private:
  std::array<std::uint8_t, (kMaxLine - 10) * 5 / 8> bytes_{}; // 10 characters stand before them
  std::size_t size_ = 0;
};

void encode(kn1::Bytes bytes, std::string& out);

/// Any case; blanks and ends of lines are dropped. Returns false for another character, for a number of them that no
/// bytes have, when the bits left over are not zero, and when `out` is full.
bool decode(std::string_view text, Buffer& out);

} // namespace knock::base32
