// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/child_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include <knock/limits.hpp>
#include <knock/quoted.hpp>

#include "system/log.hpp"

namespace knock::system {
namespace {

constexpr int kFairReads = 16; // of 4 KiB: a process that never stops must not starve the rest

} // namespace

Result<Fd> ChildLog::open(bool waits) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(system_error("open a pipe"));
  fd_ = Fd(ends[0]);
  Fd theirs(ends[1]);
  ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  if (!waits) ::fcntl(theirs.get(), F_SETFL, O_NONBLOCK);
  watch_ = loop_.watch(fd_.get(), [this](Instant now) {
    if (!read(now)) close();
  });
  return theirs;
}

void ChildLog::finish(Instant now) {
  if (fd_) (void)read(now);
  close();
  if (!line_.empty()) end_line(now);
  say_dropped();
}

void ChildLog::settle(Instant now) {
  if (paid_ <= now) say_dropped();
}

/// Returns false once the other end is closed.
bool ChildLog::read(Instant now) {
  std::array<char, 4096> bytes;
  for (int i = 0; i < kFairReads; ++i) {
    const auto size = ::read(fd_.get(), bytes.data(), bytes.size());
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    take({bytes.data(), static_cast<std::size_t>(size)}, now);
  }
  return true;
}

void ChildLog::take(std::string_view bytes, Instant now) {
  while (!bytes.empty()) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    const auto some = std::min(end, kMaxChildLine - line_.size());
    line_.append(bytes.substr(0, some));
    cut_ = cut_ || some < end;
    if (end == bytes.size()) return;
    end_line(now);
    bytes.remove_prefix(end + 1);
  }
}

/// The bucket as a point in time: every line moves it on, it is full when that point has passed.
void ChildLog::end_line(Instant now) {
  settle(now);
  const auto paid = std::max(paid_, now) + every_;
  if (paid - now <= every_ * burst_) {
    log_line(level_, fmt::format("{}: {}{}", name_, escaped(line_), cut_ ? " ..." : ""));
    paid_ = paid;
  } else {
    ++dropped_;
  }
  line_.clear();
  cut_ = false;
}

void ChildLog::say_dropped() {
  if (dropped_ == 0) return;
  log_line(level_, fmt::format("{}: {} more lines were dropped", name_, dropped_));
  dropped_ = 0;
}

void ChildLog::close() {
  watch_ = {};
  fd_ = {};
}

} // namespace knock::system
