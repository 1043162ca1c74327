// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/close_elsewhere.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace knock::system {
namespace {

/// Nothing else of ours may stay open in a process whose end may take long.
void keep_only(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned from = 0;
  for (const int fd : kept) {
    const auto at = static_cast<unsigned>(fd);
    if (at > from) ::close_range(from, at - 1, 0);
    from = at + 1;
  }
  ::close_range(from, ~0U, 0);
}

/// Ends once the keeper has closed its own.
[[noreturn]] void hold(const std::vector<Fd>& descriptors, int closed) {
  std::vector<int> kept{closed};
  for (const auto& fd : descriptors) kept.push_back(fd.get());
  keep_only(std::move(kept));
  char byte = 0;
  while (::read(closed, &byte, 1) < 0 && errno == EINTR) {
  }
  ::_exit(0);
}

} // namespace

void close_elsewhere(std::vector<Fd> descriptors) {
  std::array<int, 2> ends{};
  if (descriptors.empty() || ::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  const Fd closed(ends[0]);
  Fd ours(ends[1]);
  const auto child = ::fork();
  if (child == 0) {
    if (::fork() == 0) hold(descriptors, closed.get()); // its parent ends at once, so we wait for neither
    ::_exit(0);
  }
  descriptors.clear();
  ours = Fd();
  if (child > 0) ::waitpid(child, nullptr, 0);
}

} // namespace knock::system
