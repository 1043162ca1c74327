// SPDX-License-Identifier: GPL-2.0-or-later
/// Fd: an owned file descriptor. A borrowed one is a plain int.
#pragma once

#include <string>
#include <utility>

#include <knock/result.hpp>

namespace knock::system {

class Fd {
 public:
  Fd() = default;
  /// Takes ownership.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// "WHAT: strerror(CODE)" with the errno of a system call that just failed.
Error system_error(std::string what, std::string advice = {});
Error system_error(std::string what, int code, std::string advice);

} // namespace knock::system
