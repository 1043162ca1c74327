// SPDX-License-Identifier: GPL-2.0-or-later
/// Flat: values as the bytes of an image, one behind the other; both ends are the same program.
///
/// Errors: a Taker that came to the end of the bytes is not `whole`, and gives zeros.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace knock {

struct Writer {
  std::vector<std::byte> bytes;
  template<class... T>
  void put(T... values) {
    const auto one = [&](auto value) {
      const auto at = bytes.size();
      bytes.resize(at + sizeof value);
      std::memcpy(bytes.data() + at, &value, sizeof value);
    };
    (one(values), ...);
  }
};

struct Taker {
  std::span<const std::byte> bytes;
  bool whole = true;
  template<class T>
  T take() {
    T value{};
    whole = whole && bytes.size() >= sizeof value;
    if (!whole) return value;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes = bytes.subspan(sizeof value);
    return value;
  }
};

} // namespace knock
