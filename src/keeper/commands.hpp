// SPDX-License-Identifier: GPL-2.0-or-later
/// Commands: what doors start through the runner, and how often.
///
/// In:      a door, for whom it opened or closed.   Out: requests to the runner, one log line each.
/// Threads: one, the event loop's. Time is passed in.
/// `run` starts at most once a `cooldown`, whoever knocks; `run_close` once for every grant that `run` began.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <knock/config.hpp>
#include <knock/open_grant.hpp>

#include "keeper/runner_link.hpp"

namespace knock::keeper {

class Commands {
 public:
  explicit Commands(system::EventLoop& loop) : loop_(loop) {}

  /// Has a runner while a door of `config` needs one; a missing one is known before the first knock.
  void follow(const Config& config);

  /// Whether `run` of this door would start now.
  [[nodiscard]] bool ready(const Door& door, Instant now) const;
  /// Returns whether it started.
  bool open(const Door& door, const Address& source, Via via, Instant now);
  void close(const Door& door, const OpenGrant& grant);

  /// Why the last command did not start.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] std::uint64_t started() const { return started_; }
  [[nodiscard]] std::uint64_t cooled() const { return cooled_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }

 private:
  bool start(RunRequest request);
  void note(const Result<void>& reached);

  system::EventLoop& loop_;
  Millis time_{};
  std::unique_ptr<RunnerLink> runner_; // absent: no door runs a command
  std::optional<Error> error_;
  std::map<std::string, Instant> last_; // by door
  std::uint64_t started_ = 0, cooled_ = 0, failed_ = 0;
};

} // namespace knock::keeper
