// SPDX-License-Identifier: GPL-2.0-or-later
/// Counts what a test program allocates with `new`. Included once in a program: it replaces the global operators.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

inline std::size_t allocations = 0;

void* operator new(std::size_t size) {
  ++allocations;
  if (void* at = std::malloc(size)) return at;
  throw std::bad_alloc();
}
void operator delete(void* at) noexcept {
  std::free(at);
}
void operator delete(void* at, std::size_t) noexcept {
  std::free(at);
}
