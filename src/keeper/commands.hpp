// SPDX-License-Identifier: GPL-2.0-or-later
/// Commands: what doors start through the runner.
///
/// In:      commands of a round.   Out: requests to the runner, one log line each.
/// Threads: one, the event loop's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <knock/config.hpp>

#include "core/keeper/round.hpp"
#include "keeper/runner_link.hpp"

namespace knock::keeper {

class Commands {
 public:
  explicit Commands(system::EventLoop& loop) : loop_(loop) {}

  /// Has a runner while a door of `config` needs one; a missing one is known before the first knock.
  void follow(const Config& config);
  /// Returns whether the runner took it.
  Ran start(const Run& run);

  /// Why the last command did not start.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] std::uint64_t started() const { return started_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }

 private:
  void note(const Result<void>& reached);

  system::EventLoop& loop_;
  std::unique_ptr<RunnerLink> runner_; // absent: no door runs a command
  std::optional<Error> error_;
  std::uint64_t started_ = 0, failed_ = 0;
};

} // namespace knock::keeper
