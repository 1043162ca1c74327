// SPDX-License-Identifier: GPL-2.0-or-later
/// SignedPackets: what signed packets need of a round beside the configuration: the clock, the stamps, keys for the engine,
/// files that are written before what was accepted is done.
///
/// Errors:  while a file cannot be written nothing is accepted; it is tried again each second.
/// Threads: one. Time: passed in.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include <knock/users_report.hpp>

#include "core/keeper/requests.hpp"

namespace knock::keeper {

struct State;

/// What signed packets need beside the configuration.
struct SignedPackets {
  Requests requests;
  Stamps stamps;
  WallClock clock{};
  bool told = false;                   ///< the engine has keys
  bool rekey = false;                  ///< and shall have others
  std::vector<StampMark> unwritten{};  ///< lines of kn1.run
  bool has_run = false;                ///< that file is there
  Stamp good_since = 0;                ///< as its header says
  Ceilings ceilings{};                 ///< as they are on disk
  std::optional<Error> error{};        ///< why what is accepted cannot be written
  std::optional<Error> unread{};       ///< why it is not known what was accepted: until another start
  std::optional<Error> unkept{};       ///< why a boot would not know it: until the ceilings are written
  std::optional<Instant> not_before{}; ///< then it is tried again
  /// The last opening of a door by a device that was counted: over the other family, right behind it, it is the same one.
  struct Counted {
    Instant at{};
    Family family = Family::ipv4;
    bool both = false;
  };
  std::map<std::pair<kn1::Kid, std::string>, Counted> counted{};
};

/// Why no signed packet is accepted; nothing: they are.
inline const std::optional<Error>& unaccepted(const SignedPackets& kn1) {
  return kn1.unread ? kn1.unread : kn1.unkept ? kn1.unkept : kn1.error;
}

/// Of a start: what kn1.run and kn1.ceiling say. `before`: the configuration that ran last; null: none.
void recall_stamps(State& state, const Seen& seen, const Config* before, Said& said);
/// What became of users, devices and keys, a line each. `before` is null at a start: none. `uid`: who did it.
std::vector<Line> user_lines(const Config* before, const Config& next, std::optional<std::uint32_t> uid);
/// The clock, as it is in this round; it may have become good.
void hear_clock(State& state, const WallClock& clock);
Clocks clocks_of(const State& state);
/// Takes the clock as right, whatever was accepted before.
Reply accept_clock(State& state);
/// What `knockctl user list` shows of devices, with what only we know.
std::vector<UserReport> users_of(const State& state);
/// The keys of `config` from here on: the engine is told in the next round. `fresh`: a device whose key knockctl made just
/// now, so there is no packet of it yet. Packets of any other device that comes may have been captured before.
void follow_keys(State& state, std::string_view fresh = {});
/// What was accepted, to be written before it is done.
Steps accepted_steps(State& state);
/// What was accepted, to be written when there is time: beyond which stamps keys begin behind a boot.
Steps ceiling_steps(const State& state);
/// When signed packets need a round, if nothing is heard.
std::optional<Instant> next_signed(const State& state);

} // namespace knock::keeper
