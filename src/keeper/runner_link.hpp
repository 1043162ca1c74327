// SPDX-License-Identifier: GPL-2.0-or-later
/// RunnerLink: the keeper's way to a runner.
///
/// As root it starts one, as nobody; otherwise it connects to the socket of the runner's own unit. One that
/// ended is replaced at the next request. Nothing ever comes back: the runner logs for itself, one that we
/// started through us (ChildLog).
#pragma once

#include <optional>
#include <string>

#include <knock/run.hpp>

#include "system/child.hpp"
#include "system/child_log.hpp"
#include "system/event_loop.hpp"

namespace knock::keeper {

class RunnerLink {
 public:
  /// `socket`: of the unit.
  RunnerLink(system::EventLoop& loop, std::string socket)
      : loop_(loop), socket_(std::move(socket)), log_(loop, "runner", LogLevel::info, {100, 400}) {}
  RunnerLink(const RunnerLink&) = delete;
  RunnerLink& operator=(const RunnerLink&) = delete;
  ~RunnerLink() { drop(); }

  /// Errors: ENOENT or ECONNREFUSED (the unit's socket is not enabled), EACCES, ENOENT for the user nobody.
  Result<void> connect();
  /// Has `request` started. Errors: as connect; EAGAIN when the runner hangs.
  Result<void> start(const RunRequest& request);

 private:
  Result<void> launch();
  void drop();

  system::EventLoop& loop_;
  std::string socket_;
  system::ChildLog log_; // of one that we start: its own lines, and what its commands write
  system::Fd fd_;        // empty: not connected
  std::optional<system::Child> child_;
  system::Watch watch_; // for its end: of the one that we started, else of the connection
};

} // namespace knock::keeper
