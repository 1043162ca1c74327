// SPDX-License-Identifier: GPL-2.0-or-later
/// RealWorld: what a round of the keeper acts on: the kernel, the disk, the engine.
///
/// In:      what to read; steps, in order.   Out: what is there; how far the steps came; what others did.
/// Threads: one, the event loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/keeper/round.hpp"
#include "keeper/engine_process.hpp"
#include "keeper/stamp_store.hpp"
#include "netlink/conntrack.hpp"
#include "netlink/gate.hpp"
#include "netlink/own_addresses.hpp"
#include "netlink/table_watch.hpp"
#include "system/event_loop.hpp"

namespace knock::keeper {

/// For a start whose files cannot be used: the texts that were applied last; none: there are none. `state`: [control]
/// state, as far as it is known; empty: the default.
std::vector<ConfigText> recall_last_good(const std::string& state);

class RealWorld : public World {
 public:
  /// `state`: directory of the state files. Table and mode of `config` are those of all that follow.
  static Result<std::unique_ptr<RealWorld>> open(system::EventLoop& loop, std::string config_path,
                                                 ConfigPointer config, std::string state);

  /// All that waits since the last call: records of the engine, commits of others, connections, addresses.
  void hear(Heard& heard);
  Seen look(const Ask& ask) override;
  Outcome carry_out(const Steps& steps) override;

  /// Null: none.
  [[nodiscard]] EngineProcess* engine() const { return engine_.get(); }

 private:
  struct StateFiles {
    std::string path; ///< of their directory
    system::Fd lock;
    StampStore stamps; ///< beside the control socket
  };
  RealWorld(system::EventLoop& loop, std::string config_path, ConfigPointer config, netlink::Gate gate,
            netlink::OwnAddresses own, StateFiles state);
  Result<StampsSeen> look_at_stamps() const;
  Result<void> carry_out(const Bind& step, Outcome& outcome);
  Result<void> carry_out(const Instruct& step, Outcome& outcome);
  Result<void> carry_out(const Rekey& step, Outcome& outcome);
  Result<void> carry_out(const Mark& step, Outcome& outcome);
  Result<void> carry_out(const Dismiss& step, Outcome& outcome);
  Result<void> carry_out(const Listen& step, Outcome& outcome);
  Result<void> carry_out(const Remember& step, Outcome& outcome);
  Result<void> carry_out(const Load& step, Outcome& outcome);
  Result<void> carry_out(const Unload& step, Outcome& outcome);
  Result<void> carry_out(const Commit& step, Outcome& outcome);

  /// A source of events, and its place in the loop: that something waits ends the wait, no more.
  template<class Source>
  struct Heeded {
    Source source;
    system::Watch watch;
  };

  system::EventLoop& loop_;
  std::string config_path_;
  ConfigPointer config_;
  netlink::Gate gate_;
  StateFiles state_;
  netlink::OwnAddresses own_;
  system::Watch own_watch_;
  bool own_changed_ = true;
  std::optional<netlink::NflogGroups> bound_; // and not given to the engine yet
  std::unique_ptr<EngineProcess> engine_;
  std::optional<Heeded<netlink::TableWatch>> table_;
  std::optional<Heeded<netlink::Conntrack>> flows_;
};

} // namespace knock::keeper
