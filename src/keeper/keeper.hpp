// SPDX-License-Identifier: GPL-2.0-or-later
/// Keeper: the one who changes the kernel. Owns config, table, ledger and timers.
///
/// In:      Grant records of the engine, which it does not trust; requests of knockctl; signals.
/// Out:     batches, commands, audit lines, answers.
/// Threads: one, the event loop's. Time is the loop's Instant.
/// Start and stop leave open grants alone: the kernel holds them, and they end by themselves.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include <knock/config.hpp>
#include <knock/confirm.hpp>
#include <knock/heal_budget.hpp>
#include <knock/ledger.hpp>
#include <knock/pace.hpp>
#include <knock/status.hpp>

#include "keeper/audit.hpp"
#include "keeper/commands.hpp"
#include "keeper/control_socket.hpp"
#include "keeper/engine_process.hpp"
#include "keeper/flow_watch.hpp"
#include "keeper/reload.hpp"
#include "netlink/gate.hpp"
#include "netlink/own_addresses.hpp"
#include "netlink/table_watch.hpp"
#include "system/event_loop.hpp"

namespace knock::keeper {

class Keeper {
 public:
  /// Adopts what the kernel holds, then makes it match `config`. Nothing is changed on error.
  static Result<std::unique_ptr<Keeper>> start(system::EventLoop& loop, std::string config_path,
                                               Config config, Instant now);
  /// Answers one request of knockctl, which came at `asked`.
  Answer answer(const Peer& peer, std::string_view datagram, Instant asked, Instant now);
  /// Reads the config anew; on any error the old one stays.
  Reply reload(const ReloadOptions& options, Instant now);
  /// Does what is due. Returns when something will be next.
  std::optional<Instant> work(Instant now);

 private:
  Keeper(system::EventLoop& loop, std::string config_path, netlink::Gate gate, netlink::OwnAddresses own,
         std::string state);

  // keeper.cpp: config -> kernel
  void recall();
  Result<void> remember(const Unconfirmed& unconfirmed, std::optional<std::int64_t> off_since);
  Result<void> adopt(const Config& config, Instant now);
  Result<Applied> apply(Config next, const ReloadOptions& options, Instant now);
  Result<Applied> enforce(const Config& next, const ReloadOptions& options, Instant now);
  Result<void> follow(const Config& next, std::optional<netlink::NflogGroups> groups, system::Fd policy,
                      Instant now);
  Result<Applied> stand_down(const Config& next, Instant now);
  Result<void> close_gone(const Config& next, Instant now, Applied& applied);
  Result<Plan> plan_sessions(const Config& next, const std::vector<Port>& ports, Instant now) const;
  Result<std::optional<netlink::NflogGroups>> bind(const Config& next);

  // keeper_grants.cpp: grants -> kernel and runner
  void judge(std::span<const Completed> grants, Instant now);
  const Door* door_of(const Completed& grant);
  Result<void> open(std::span<const GrantRequest> requests, Instant now);
  Plan plan_open(std::span<const GrantRequest> requests, Instant now);
  Result<void> carry_out(Plan plan, Instant now);
  void settle(const Plan& plan, Instant now);
  void report(const LedgerEvent& event, Instant now);
  void watch_over(Instant now);

  // keeper_ends.cpp: what ends grants
  void look(const std::vector<GrantKey>& keys);
  void refresh(Plan& plan);
  Plan plan_close(const CloseWhich& which, std::string_view reason, Instant now);
  void count_use(const Address& source, Port port);
  void end_sessions(Instant now);
  void take_back_uses(Instant now);
  void watch_flows(std::span<const GrantRequest> requests, Instant now);
  void hear(const FlowWatch::News& news, Instant now);
  void look_ahead(Instant now);
  void push(Plan plan, Instant now);
  std::optional<Instant> end_what_is_over(Instant now);
  // keeper_heal.cpp: what others did to our table
  void watch_table(const Config& next);
  void heed(Instant now);
  void inspect(Instant now);
  Result<void> commit(const Batch& batch, Instant now);
  Batch forget_removed(std::vector<GrantKey> removed, Instant now);
  Result<void> heal(Instant now, const std::string& by);

  // keeper_verbs.cpp; keeper_trial.cpp from `prove` on
  Reply dispatch(const Request& request, const Peer& peer, Instant now);
  Reply reload_as_asked(const Request& request, const Peer& peer, Instant now);
  Reply switch_off(Instant now);
  Reply switch_on(Instant now);
  Reply open_by_hand(const Request& request, Instant now);
  Reply grant_by_hand(const Request& request, const Door& door, const Address& source, Instant now,
                      std::vector<std::string>& texts);
  Reply close_by_hand(const Request& request, Instant now);
  void prove(const OpenGrant& grant, Instant now);
  std::optional<Instant> end_trials(Instant now);
  Reply confirm(const Request& request, Instant now);
  // keeper_status.cpp
  [[nodiscard]] Status status(Instant now);
  void count(Status& status, Instant now);
  void warn(Status& status, Instant now) const;
  [[nodiscard]] const Door* door(std::string_view name) const;
  [[nodiscard]] StaticSets wanted(Instant now) const; // in the static sets

  system::EventLoop& loop_;
  std::string config_path_;
  netlink::Gate gate_;
  std::string state_; // directory
  std::string boot_;  // id of this boot
  Config config_;
  std::unordered_map<std::uint64_t, const Door*> doors_; // enabled ones of config_, by id
  Ledger ledger_{{}};
  Pace pace_{0};
  Audit audit_;
  std::unique_ptr<EngineProcess> engine_; // absent: no group bound
  Commands commands_;
  netlink::OwnAddresses own_;
  system::Watch own_watch_, table_watch_;
  std::unique_ptr<FlowWatch> flows_;         // absent: no open grant has to know
  std::optional<Error> flows_error_;         // why connections are not known
  std::optional<netlink::TableWatch> watch_; // absent: no door
  HealBudget heals_;
  std::string disturber_;               // who removed what is ours, until it is back
  std::optional<Instant> heal_at_;      // put off until then
  Instant looked_until_{};              // counters of what ends by then are known
  std::optional<Instant> next_idle_;    // look at the counters of on-idle grants
  std::optional<Instant> next_lease_;   // push on grants with connections
  std::optional<Instant> next_session_; // look for connections that are older than the guard
  std::optional<Millis> watchdog_;      // how often the service manager is told that we are well
  std::optional<Instant> next_probe_;
  Unconfirmed unconfirmed_;
  Instant next_trial_{};                  // until then no trial ends
  std::optional<std::int64_t> off_since_; // seconds of the epoch
  Snapshot status_{system::monotonic_now};
  Instant started_{};
  std::chrono::system_clock::time_point config_read_{};
  std::optional<Failure> config_error_; // of the last reload
  std::uint64_t healed_ = 0;
  std::map<std::string, std::uint64_t> refused_;
};

} // namespace knock::keeper
