// SPDX-License-Identifier: GPL-2.0-or-later
/// Result: a value, or what the environment refused and what to do about it.
///
/// For the environment only (system calls, files, the kernel's answers). Hostile input is no error: a
/// `parse_` function returns optional and its caller counts. Our own bugs end in `KNOCK_ASSERT`.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace knock {

/// One refusal, decided once by the caller that can act.
struct Error {
  std::string what;   ///< operation and object: "bind NFLOG group 40: Operation not permitted"
  int code = 0;       ///< errno, 0 when no system call failed
  std::string advice; ///< what to type or change; may be empty
};

template<class T>
using Result = tl::expected<T, Error>;

/// `what`, then `advice` behind a colon-free separator: one line for a log.
std::string to_string(const Error& error);

/// Stays on in release: one line on stderr, then abort. Grants live in the kernel and survive it.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);

} // namespace knock

#define KNOCK_ASSERT(condition)                                                                              \
  ((condition) ? static_cast<void>(0) : ::knock::assert_failed(#condition, __FILE__, __LINE__))
