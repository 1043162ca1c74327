// SPDX-License-Identifier: GPL-2.0-or-later
/// Keeper: the process that changes the kernel. It hears, has the machine decide, carries out, and tells.
///
/// In:      records of the engine, which it does not trust; requests of knockctl; what the kernel tells.
/// Out:     batches, commands, log lines, answers.
/// Threads: one, the event loop's. Time is the loop's Instant.
/// Start and stop leave open grants alone: the kernel holds them, and they end by themselves.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/keeper/machine.hpp"
#include "keeper/commands.hpp"
#include "keeper/control_socket.hpp"
#include "keeper/world.hpp"

namespace knock::keeper {

class Keeper {
 public:
  /// Adopts what the kernel holds, then makes it match the configuration. Nothing is changed on error.
  static tl::expected<std::unique_ptr<Keeper>, Failure> start(system::EventLoop& loop, Machine::Start start,
                                                              Instant now);
  ~Keeper();

  /// Answers one request of knockctl.
  Answer answer(const ControlSocket::Asked& asked, Instant now);
  /// SIGHUP of `uid`.
  void reload(std::uint32_t uid, Instant now);
  /// Does what is due. Returns when something will be next.
  std::optional<Instant> work(Instant now);

 private:
  Keeper(system::EventLoop& loop, Machine machine, std::unique_ptr<RealWorld> world);
  std::optional<Failure> round(Instant now);
  void tell(Said said);
  void watch_over(Instant now);
  Answer users(Instant now);
  [[nodiscard]] Answer status(Instant asked, Instant now);
  void count(Status& status, Instant now) const;

  Machine machine_;
  std::unique_ptr<RealWorld> world_;
  Commands commands_;
  const Config* followed_ = nullptr; // log level and runner are as it says
  Heard heard_;                      // since the last round
  std::optional<Instant> next_;      // round
  std::map<std::uint64_t, Reply> told_;
  Snapshot status_{system::monotonic_now};
  std::optional<Millis> watchdog_; // how often the service manager is told that we are well
  std::optional<Instant> next_probe_;
  Instant started_{};
  std::uint64_t wakeups_ = 0;
};

} // namespace knock::keeper
