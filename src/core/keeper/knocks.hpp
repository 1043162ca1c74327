// SPDX-License-Identifier: GPL-2.0-or-later
/// Knocks: what a completed sequence may ask for.
///
/// In:      records of the engine, which is not trusted.   Out: openings that wait for a round; each refusal counted.
/// Threads: one. Time: passed in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <knock/open_grant.hpp>
#include <knock/pace.hpp>

#include "core/keeper/draft.hpp"
#include "core/keeper/round.hpp"

namespace knock::keeper {

/// A grant that waits for a round, with the command of its door.
struct Opening {
  JobId job = 0;
  std::uint64_t ticket = 0; ///< of the hand that asks; 0: a knock
  GrantRequest request{};
  bool opens = true; ///< false: the door only runs a command
};

/// How often `run` of a door may start: once a `cooldown`, for all sources together.
class Cooldowns {
 public:
  [[nodiscard]] bool ready(const Door& door, Instant now) const;
  /// Takes a start. Returns false, and counts it, when it is too early.
  bool start(const Door& door, Instant now);
  [[nodiscard]] std::uint64_t cooled() const { return cooled_; }

 private:
  std::map<std::string, Instant> last_; // by door
  std::uint64_t cooled_ = 0;
};

/// Refusals by their reason, as `refused_REASON` in the counters.
using Counts = std::map<std::string, std::uint64_t>;

class Knocks {
 public:
  /// `config` outlives this, or the next call.
  void follow(const Config& config);
  void set_own(std::set<Address> own) { own_ = std::move(own); }
  [[nodiscard]] bool is_own(const Address& address) const { return own_.contains(address); }

  /// The openings of these records. Returns how many an honest engine would not have sent.
  unsigned judge(std::span<const Completed> records, Instant now, std::vector<Opening>& openings,
                 Counts& refused, std::vector<Line>& lines);
  [[nodiscard]] const Cooldowns& cooldowns() const { return cooldowns_; }
  bool start_command(const Door& door, Instant now) { return cooldowns_.start(door, now); }
  /// The door that is knocked at too fast; null: none.
  [[nodiscard]] const Door* hurried(Instant now) const;

 private:
  const Door* door_of(const Completed& record, Counts& refused, unsigned& suspicions) const;

  std::unordered_map<std::uint64_t, const Door*> doors_; // enabled ones, by id
  Pace pace_{0};
  Cooldowns cooldowns_;
  std::set<Address> own_; // of this machine
};

/// What `door` gives to `source`; whether its end will be said depends on the cooldown.
Opening opening_of(const Door& door, const Address& source, const Cooldowns& cooldowns, Instant now);
RunRequest run_of(const Config& config, const Door& door, const Address& source, Via via);
RunRequest run_close_of(const Config& config, const Door& door, const OpenGrant& grant);

} // namespace knock::keeper
