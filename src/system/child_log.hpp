// SPDX-License-Identifier: GPL-2.0-or-later
/// ChildLog: what a process of ours writes to its stderr, as lines of our own log that it cannot forge.
///
/// In:      bytes, maybe of a process that has fallen to a stranger.   Out: log lines "NAME: ...", escaped and
///          cut; above the pace they are dropped, and how many is said once it has become quiet again.
/// Threads: one, the event loop's. Never waits for the process.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <knock/config.hpp>
#include <knock/time.hpp>

#include "system/event_loop.hpp"
#include "system/fd.hpp"

namespace knock::system {

class ChildLog {
 public:
  struct Pace {
    unsigned per_second = 10;
    unsigned burst = 20;
  };

  ChildLog(EventLoop& loop, std::string name, LogLevel level, Pace pace)
      : loop_(loop), name_(std::move(name)), level_(level), every_(Seconds{1}), burst_(pace.burst) {
    every_ /= pace.per_second;
  }
  ChildLog(const ChildLog&) = delete;
  ChildLog& operator=(const ChildLog&) = delete;

  /// Opens a pipe in place of the one before; returns the end for the process. With `waits` a write to a full
  /// pipe waits for us, else its bytes are lost. Errors: EMFILE.
  Result<Fd> open(bool waits);
  /// The process has ended: what it wrote last, also without a newline, and what was dropped.
  void finish(Instant now);
  /// Says what was dropped, once it is quiet.
  void settle(Instant now);

 private:
  bool read(Instant now);
  void take(std::string_view bytes, Instant now);
  void end_line(Instant now);
  void say_dropped();
  void close();

  EventLoop& loop_;
  std::string name_;
  LogLevel level_;
  Instant::duration every_; // a line, in the long run
  unsigned burst_;
  Fd fd_;
  Watch watch_;
  std::string line_; // so far
  bool cut_ = false; // its rest is left out
  Instant paid_{};   // until when the lines said are paid for
  std::uint64_t dropped_ = 0;
};

} // namespace knock::system
