// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/commands.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "system/log.hpp"

namespace knock::keeper {
namespace {

/// The name `name` in the directory of `path`.
std::string beside(const std::string& path, std::string_view name) {
  return fmt::format("{}/{}", path.substr(0, path.rfind('/')), name);
}

RunRequest request_of(const Door& door, const Address& source, std::string by, Via via) {
  RunRequest request;
  request.door = door.name;
  request.source = to_string(source);
  request.by = std::move(by);
  request.via = to_string(via);
  return request;
}

} // namespace

void Commands::follow(const Config& config) {
  time_ = config.runner.time;
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

bool Commands::ready(const Door& door, Instant now) const {
  const auto last = last_.find(door.name);
  return !door.run.empty() && (last == last_.end() || now >= last->second + door.cooldown);
}

bool Commands::open(const Door& door, const Address& source, Via via, Instant now) {
  if (!ready(door, now)) {
    ++cooled_;
    return false;
  }
  last_[door.name] = now; // a command that fails at once must not fail at every knock
  auto request = request_of(door, source, "-", via);
  request.argv = door.run;
  return start(std::move(request));
}

void Commands::close(const Door& door, const OpenGrant& grant) {
  if (door.run_close.empty() || !runner_) return;
  auto request = request_of(door, grant.source, grant.by, grant.via);
  request.event = "close";
  request.argv = door.run_close;
  start(std::move(request));
}

bool Commands::start(RunRequest request) {
  request.time = time_;
  const auto reached = runner_->start(request);
  note(reached);
  ++(reached ? started_ : failed_);
  if (reached)
    system::log_line(LogLevel::info, fmt::format("run door={} source={} by={} via={} event={}", request.door,
                                                 request.source, request.by, request.via, request.event));
  return reached.has_value();
}

void Commands::note(const Result<void>& reached) {
  if (!reached && (!error_ || error_->what != reached.error().what))
    system::log_line(LogLevel::error, to_string(reached.error()));
  error_ = reached ? std::nullopt : std::optional(reached.error());
}

} // namespace knock::keeper
