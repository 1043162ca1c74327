// SPDX-License-Identifier: GPL-2.0-or-later
/// EngineProcess: the keeper's end of an engine: started, fed, listened to, restarted.
///
/// In:      datagrams of a process that may have fallen to a stranger.   Out: what it completed, to be judged.
/// Keeps:   the NFLOG socket, the policy and the counters, so a new engine goes on where the old one died; only
///          attempts are lost, and what arrives meanwhile waits in the socket. What waited for an engine that was
///          silent, until we ended it, is thrown away: an answer to it would come too late.
/// Threads: one, the event loop's. Never waits for the engine but in `ask_numbers`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <knock/status.hpp>

#include "engine/seam.hpp"
#include "system/child.hpp"
#include "system/child_log.hpp"
#include "system/event_loop.hpp"

namespace knock::keeper {

class EngineProcess {
 public:
  /// `policy`: a sealed image. Errors: EAGAIN, ENOMEM; a program that does not start is tried again later.
  static Result<std::unique_ptr<EngineProcess>> start(system::EventLoop& loop, std::uint32_t attempts,
                                                      netlink::NflogGroups groups, system::Fd policy);

  /// What it said since the last call.
  Records take_records() { return std::exchange(records_, {}); }
  void follow(system::Fd policy);
  /// `keys`: a sealed image (kn1_keys.hpp); `stamps`: kn1.run, open to be read only.
  void follow_keys(system::Fd keys, system::Fd stamps);
  void rebind(netlink::NflogGroups groups);

  /// Restarts what is due. Returns when something will be.
  std::optional<Instant> work(Instant now);
  /// Once a watchdog period: whether the engine answered what the last call asked; one that did not is restarted.
  bool probe();
  /// One more thing an honest engine never sends. Who goes on is restarted.
  void suspect();
  /// Has the engine bring its numbers up to date; waits for it at most 200 ms.
  void ask_numbers(Instant now);

  /// Its numbers, for `knockctl status`.
  void show(Status& status) const;
  /// Of devices, in their own words: untrusted.
  [[nodiscard]] const engine::RefusalPage& refusals() const { return page_.numbers->refusals; }
  [[nodiscard]] netlink::NflogGroups& groups() { return groups_; }
  /// Whether it answered every ping.
  [[nodiscard]] bool answered() const { return page_.unanswered() == 0; }

 private:
  /// What all engines write their numbers to, one after the other: untrusted.
  struct Page {
    static Result<Page> open();
    [[nodiscard]] std::uint32_t unanswered() const { return last_ping - numbers->answered.load(); }
    system::Fd fd;
    std::unique_ptr<void, system::Unmap> mapping;
    const engine::EnginePage* numbers = nullptr;
    std::uint32_t last_ping = 0;
  };
  enum class Fault : std::uint8_t { none, silent, malicious };
  /// One engine, from its start to its end.
  struct Running {
    system::Child child;
    system::Fd pair;
    system::Watch child_watch{}, pair_watch{};
    Fault fault = Fault::none; // for which we ended it ourselves
    std::string killed_for{};
    std::uint32_t asked = 0; // the ping of the last probe, or of the start; later ones may still be under way
    bool probed = false;
    int strikes = 0;
  };

  /// What each engine follows, as memory files.
  struct Followed {
    system::Fd policy;
    system::Fd keys, stamps; // none: no signed packets
  };

  EngineProcess(system::EventLoop& loop, std::uint32_t attempts, netlink::NflogGroups groups,
                system::Fd policy, Page page);
  Result<void> launch();
  bool read_one();
  void ended(Instant now);
  void give_up_on(Fault fault, std::string why);
  bool order(engine::Order::Kind kind, std::uint32_t value, int descriptor);
  void ping();

  system::EventLoop& loop_;
  std::uint32_t attempts_;
  netlink::NflogGroups groups_;
  Followed followed_;
  Page page_;
  std::optional<Running> running_; // absent: to be started at restart_at_
  system::ChildLog log_;
  std::optional<Instant> restart_at_;
  Millis back_off_;
  std::uint64_t restarts_ = 0;
  std::uint64_t malformed_ = 0;
  Records records_;
};

} // namespace knock::keeper
