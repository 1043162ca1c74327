// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/result.hpp>

#include <cstdio>
#include <cstdlib>

namespace knock {

std::string to_string(const Error& error) {
  return error.advice.empty() ? error.what : error.what + "; " + error.advice;
}

void assert_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "knockgate: %s:%d: this must hold: %s\n", file, line, condition);
  std::abort();
}

} // namespace knock
