// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace knock::system {
namespace {

Result<Fd> create(const char* name) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return tl::unexpected(system_error(fmt::format("create memory file {}", name)));
  return fd;
}

} // namespace

Result<Fd> seal(const char* name, std::span<const std::byte> bytes) {
  auto fd = create(name);
  if (!fd) return fd;
  while (!bytes.empty()) {
    const auto put = ::write(fd->get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return tl::unexpected(system_error(fmt::format("fill memory file {}", name)));
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  if (::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return tl::unexpected(system_error(fmt::format("seal memory file {}", name)));
  return fd;
}

Result<std::vector<std::byte>> read_sealed(int fd, std::size_t most) {
  std::vector<std::byte> bytes(64U << 10U);
  std::size_t size = 0;
  for (;;) {
    const auto got = ::pread(fd, bytes.data() + size, bytes.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(system_error("read a memory file"));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > most) return tl::unexpected(system_error("read a memory file", EFBIG, ""));
    if (size == bytes.size()) bytes.resize(2 * size);
  }
  bytes.resize(size);
  return bytes;
}

Result<Fd> open_shared(const char* name, std::size_t size) {
  auto fd = create(name);
  if (!fd) return fd;
  if (::ftruncate(fd->get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return tl::unexpected(system_error(fmt::format("size memory file {}", name)));
  return fd;
}

void Unmap::operator()(void* at) const {
  ::munmap(at, size);
}

Result<std::unique_ptr<void, Unmap>> map_shared(int fd, std::size_t size, bool writable) {
  void* at = ::mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return tl::unexpected(system_error("map a memory file"));
  return std::unique_ptr<void, Unmap>(at, Unmap{size});
}

} // namespace knock::system
