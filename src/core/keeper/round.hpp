// SPDX-License-Identifier: GPL-2.0-or-later
/// Round: what one wake-up of the keeper hears, asks, sees, does and says: values that flow one way.
///
///   Heard -> ask -> Ask -> (the world looks) -> Seen -> decide -> Steps -> (the world carries out) -> Outcome
///         -> settle -> Said
///
/// The world is the kernel, the disk, the engine and the runner (src/keeper), or a model of them (tests).
/// Threads: one. Time: one Instant a round, in Heard.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <knock/batch.hpp>
#include <knock/config.hpp>
#include <knock/control.hpp>
#include <knock/result.hpp>
#include <knock/ruleset.hpp>
#include <knock/run.hpp>

#include "core/keeper/heard.hpp"

namespace knock::keeper {

// ---- decide and carry out: one list, in order, until the first failure

using ConfigPointer = std::shared_ptr<const Config>;

/// Binds four NFLOG groups, so that a second daemon fails before it touches the table of the first.
struct Bind {
  std::uint16_t first_group = 0;
  std::uint32_t buffer_bytes = 0;
  bool patient = true; ///< waits for a process that ends just now
};
/// Has an engine follow this policy, on the groups bound last; starts it when there is none.
struct Instruct {
  std::vector<std::byte> policy;
  std::uint32_t attempts = 0; ///< places of the table of an engine that starts
  std::uint32_t buffer_bytes = 0;
  std::uint32_t copy_bytes = 0; ///< of each packet
};
/// Has the engine open signed packets with these keys from now on (kn1_keys.hpp).
struct Rekey {
  std::vector<std::byte> keys;
};
/// Writes lines of kn1.run, before what they stand for is done.
struct Mark {
  Stamp good_since = 0;
  std::vector<StampMark> marks;
};
/// Ends the engine and frees its groups.
struct Dismiss {};
/// Listens to commits of others in `inet table`, and to connections; or no longer.
struct Listen {
  bool table = false;
  bool flows = false;
  bool operator==(const Listen&) const = default;
};
/// Puts a state file whole on disk; an empty text removes it.
struct Remember {
  enum class File : std::uint8_t { unconfirmed, off, last_good, ceilings };
  File file = File::unconfirmed;
  std::string text;
  std::string over{}; ///< of off: what it says; else it is root's own, and stays
};
/// Loads rules and static sets over what is there, and the changes of `grants`, in one transaction. Sets of another
/// size are made anew, empty but for `grants`.
struct Load {
  ConfigPointer config;
  StaticSets sets;
  Batch grants;
};
/// Removes the table; embed: empties the static sets.
struct Unload {
  ConfigPointer config;
};
/// Changes elements of the grant sets; all or nothing.
struct Commit {
  Batch batch;
  bool where_there = false; ///< of a set that is gone, nothing: its elements went with it
};

using Step = std::variant<Bind, Instruct, Rekey, Dismiss, Listen, Remember, Mark, Load, Unload, Commit>;
using Steps = std::vector<Step>;
/// Where the first step of this kind stands; behind the last when there is none.
template<class Kind>
std::size_t place_of(const Steps& steps) {
  std::size_t place = 0;
  while (place < steps.size() && !std::holds_alternative<Kind>(steps[place])) ++place;
  return place;
}

/// How far the steps came.
struct Outcome {
  std::size_t done = 0;           ///< steps that succeeded
  std::optional<Error> error{};   ///< of the first that did not
  std::vector<Refused> refused{}; ///< when that is a Commit: what the kernel named
  bool unheard = false;           ///< commits of others may have been missed meanwhile
  bool anew = false; ///< Load: over what stood it was refused; the table has what came along, no more
  std::optional<Error> deaf_flows{}; ///< Listen: why connections are not known; not a failure
  std::optional<Error> deaf_table{}; ///< Listen: why commits of others are not heard; not a failure
};

// ---- settle: what is true now, and who is told

struct Line {
  LogLevel level = LogLevel::info;
  std::string text;
};
struct Told {
  std::uint64_t ticket = 0;
  Reply reply;
};
struct Run {
  std::uint64_t ticket = 0;
  RunRequest request;
};

struct Said {
  std::vector<Line> lines{};
  std::vector<Told> told{};
  std::vector<Run> runs{};
  unsigned suspicions = 0;         ///< what no honest engine sends
  std::optional<Failure> failed{}; ///< the start
  std::optional<Instant> next{};   ///< when the next round is due if nothing is heard
};

/// What a round acts on.
class World {
 public:
  virtual ~World() = default;
  virtual Seen look(const Ask& ask) = 0;
  virtual Outcome carry_out(const Steps& steps) = 0;
};

} // namespace knock::keeper
