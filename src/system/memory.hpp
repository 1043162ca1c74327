// SPDX-License-Identifier: GPL-2.0-or-later
/// Memory: what crosses between our processes as memory files, sealed so that nobody pulls it from under us.
///
/// Source: memfd_create(2), fcntl(2) F_ADD_SEALS.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "system/fd.hpp"

namespace knock::system {

/// A number with one writer and readers in other processes. Relaxed: each stands for itself.
class Counter {
 public:
  void add(std::uint64_t more) { set(value() + more); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "else it would not work between processes");

/// A memory file that holds `bytes` and never changes again.
Result<Fd> seal(const char* name, std::span<const std::byte> bytes);
/// All of a sealed file. Errors: EFBIG when it is larger than `most`.
Result<std::vector<std::byte>> read_sealed(int fd, std::size_t most);

/// A memory file of `size` zero bytes that nobody can shrink: reading it never ends in SIGBUS.
Result<Fd> open_shared(const char* name, std::size_t size);
struct Unmap {
  std::size_t size = 0;
  void operator()(void* at) const;
};
/// Maps it; `writable` or to read only. Errors: ENOMEM.
Result<std::unique_ptr<void, Unmap>> map_shared(int fd, std::size_t size, bool writable);

} // namespace knock::system
