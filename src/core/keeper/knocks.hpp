// SPDX-License-Identifier: GPL-2.0-or-later
/// Knocks: what a completed sequence may ask for.
///
/// In:      records of the engine, which is not trusted.   Out: jobs that wait for a round; each refusal counted; a line
///          for each source that scans.
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
#include <variant>
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
  /// Of a signed packet.
  struct Signed {
    kn1::Kid kid{};
    bool refresh = false;       ///< extends what is open, and never opens
    std::uint32_t openings = 0; ///< that the device has in all; 0: any number
    std::uint32_t addresses = 0;
    std::string input{};   ///< for the command
    bool admitted = false; ///< before; it may wait for another round
    bool counted = false;  ///< as one of `openings`
  };
  std::optional<Signed> signed_packet{};
};

/// Grants to be closed.
struct Closing {
  JobId job = 0;
  std::uint64_t ticket = 0; ///< of the hand that asks; 0: a closing knock
  CloseWhich which{};
  bool all = false;           ///< also when there is none
  bool signed_packet = false; ///< a device asks for it
};

using Job = std::variant<Opening, Closing>;

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

  /// What these records ask for, in their order. Returns how many an honest engine would not have sent.
  unsigned judge(std::span<const Record> records, Instant now, std::vector<Job>& jobs, Counts& refused,
                 std::vector<Line>& lines);
  /// Whether the door takes one more opening or closing now; it is counted.
  bool keeps_pace(const Door& door, bool closes, Instant now) {
    return (closes ? closing_pace_ : pace_).take(door.id, door.grants, now);
  }
  [[nodiscard]] const Cooldowns& cooldowns() const { return cooldowns_; }
  bool start_command(const Door& door, Instant now) { return cooldowns_.start(door, now); }
  /// The door that is knocked at too fast; null: none.
  [[nodiscard]] const Door* hurried(Instant now) const;

 private:
  const Door* door_of(const Record& record, Counts& refused, unsigned& suspicions) const;

  std::unordered_map<std::uint64_t, const Door*> doors_; // enabled ones, by id
  Pace pace_{0};
  Pace closing_pace_{0}; // of closing knocks alone: under a flood of knocks a client can still close
  Pace scan_pace_{0};    // of lines
  Cooldowns cooldowns_;
  std::set<Address> own_; // of this machine
};

/// What `door` gives to `source`; whether its end will be said depends on the cooldown.
Opening opening_of(const Door& door, const Address& source, const Cooldowns& cooldowns, Instant now);
RunRequest run_of(const Config& config, const Door& door, const Opening& opening);
RunRequest run_close_of(const Config& config, const Door& door, const OpenGrant& grant);

} // namespace knock::keeper
