// SPDX-License-Identifier: GPL-2.0-or-later
/// A network namespace for one test case, and nft as another process in it.
#pragma once

#include <doctest/doctest.h>

#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <string>

/// Moves this process into a new network namespace. Returns false, and says so, where that is not allowed.
inline bool enter_namespace() {
  if (::unshare(CLONE_NEWNET) == 0) return true;
  MESSAGE("skipped: needs root (or: unshare -mrun)");
  return false;
}

/// What somebody else types: `nft -f -` with this text. All events of it are there when it returns.
inline void nft(const std::string& text) {
  std::FILE* input = ::popen("nft -f -", "w");
  REQUIRE(input != nullptr);
  std::fputs(text.c_str(), input);
  REQUIRE_MESSAGE(::pclose(input) == 0, text);
}
