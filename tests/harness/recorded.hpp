// SPDX-License-Identifier: GPL-2.0-or-later
/// Recorded: netlink messages kept as the kernel of a little-endian machine sent them. Their headers are in that byte order,
/// so a big-endian machine skips what reads them: its own kernel would send others.
#pragma once

#include <bit>
#include <cstdio>

/// Says why, once a program.
inline const bool kOtherByteOrder = [] {
  constexpr bool other = std::endian::native != std::endian::little;
  if constexpr (other) std::puts("skip: what was recorded on a little-endian machine, in another byte order");
  return other;
}();
