// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/commands.hpp"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "system/log.hpp"

namespace knock::keeper {
namespace {

/// The name `name` in the directory of `path`.
std::string beside(const std::string& path, std::string_view name) {
  return fmt::format("{}/{}", path.substr(0, path.rfind('/')), name);
}

} // namespace

void Commands::follow(const Config& config) {
  const bool runs = std::any_of(config.doors.begin(), config.doors.end(),
                                [](const Door& door) { return door.enabled && !door.run.empty(); });
  if (!runs) {
    runner_.reset();
    error_.reset();
    return;
  }
  if (!runner_) runner_ = std::make_unique<RunnerLink>(loop_, beside(config.control.socket, "runner.sock"));
  note(runner_->connect());
}

Ran Commands::start(const Run& run) {
  const auto& request = run.request;
  if (!runner_) return {run.ticket, Error{"no door runs a command any more", ENOENT, ""}};
  const auto reached = runner_->start(request);
  note(reached);
  ++(reached ? started_ : failed_);
  if (!reached) return {run.ticket, reached.error()};
  system::log_line(LogLevel::info, fmt::format("run door={} source={} by={} via={} event={}", request.door,
                                               request.source, request.by, request.via, request.event));
  return {run.ticket, std::nullopt};
}

void Commands::note(const Result<void>& reached) {
  if (!reached && (!error_ || error_->what != reached.error().what))
    system::log_line(LogLevel::error, to_string(reached.error()));
  error_ = reached ? std::nullopt : std::optional(reached.error());
}

} // namespace knock::keeper
