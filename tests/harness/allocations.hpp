// SPDX-License-Identifier: GPL-2.0-or-later
/// Counts what a test program allocates with `new`. Included once in a program: it replaces the global operators.
/// None of them is inlined: where g++ 12 inlines one of a pair, it takes malloc and free for a mismatch.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

inline std::size_t allocations = 0;

[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* at = std::malloc(size)) return at;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* at) noexcept {
  std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, std::size_t) noexcept {
  std::free(at);
}
