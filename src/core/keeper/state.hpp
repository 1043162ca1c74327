// SPDX-License-Identifier: GPL-2.0-or-later
/// State: all that the keeper knows between two rounds, as values.
///
/// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/keeper/audit.hpp"
#include "core/keeper/desk.hpp"
#include "core/keeper/ends.hpp"
#include "core/keeper/knocks.hpp"
#include "core/keeper/memory.hpp"
#include "core/keeper/reload.hpp"
#include "core/keeper/round.hpp"
#include "core/keeper/signed_packets.hpp"
#include "core/keeper/table.hpp"

namespace knock::keeper {

JobId id_of(const Job& job);

/// What waits for a round. Knocks and requests that come behind a change wait for it, unjudged.
struct Work {
  std::vector<Record> completed;
  std::vector<Kn1Record> kn1;
  std::deque<Asked> asked;
  std::optional<RuleChange> change;
  std::vector<Job> jobs;
  JobId last_job = 0;
  Batch left_over; ///< elements without an owner, to go with the next load
  Said unsaid;     ///< whose they were, to be told then
};

/// What stands outside of the table: who reads, and who is listened to.
struct Standing {
  std::optional<std::uint16_t> group; ///< the first that is bound
  bool engine = false;
  Listen listen{};
  bool tried_to_listen = false;    ///< at the start: what happens to the table behind the first look is heard
  std::optional<Error> deaf_flows; ///< why connections are not known
};

/// A change of rules that is done but for the grants that it takes away, and is answered then. Requests wait for that.
struct Finishing {
  RuleChange change;
  Applied applied;
  Unconfirmed before;             ///< what was on trial
  std::vector<std::string> texts; ///< of a confirmation, or of off
  bool answered = false;          ///< what is left to be done could not be done; it is tried again
};

struct Settings {
  std::string path;             ///< of the configuration
  ConfigPointer config;         ///< that runs; before the start an empty one
  std::int64_t read = 0;        ///< seconds of the epoch
  std::optional<Failure> error; ///< of the last reload; or of the files at the start, then the last good runs
  std::vector<ConfigText> texts;   ///< of the configuration that the start shall apply
  std::vector<ConfigText> running; ///< of the one that runs, without kn1.key
  bool started = false;
};

/// What is told, and how often.
struct Tally {
  Audit audit;
  Counts refused;
  std::uint64_t kn1_accepted = 0; ///< signed packets that did what they asked for, or found nothing to do
  std::uint64_t kn1_idle = 0;     ///< signed packets that found nothing to close or to extend
  std::uint64_t commits = 0;      ///< batches that the kernel took
};

inline constexpr Millis kDiskAgain{1'000}; ///< after a disk error

struct Kept {
  Memory memory;
  Disk disk;
  struct OffAlone {
    std::int64_t at_ms = 0; ///< when root turned it off alone, milliseconds of the epoch
    Instant learnt{};       ///< when that was found
  };
  std::optional<OffAlone> off_alone;
  std::optional<Instant> not_before; ///< after a disk error
  std::optional<Error> error;        ///< the last that was told, until a write succeeds
};

struct State {
  Instant now{};         ///< of this round
  std::int64_t wall = 0; ///< likewise, seconds of the epoch
  Settings settings;
  Kept kept;
  Ledger ledger{{}};
  Table table;
  Ends ends;
  Knocks knocks;
  SignedPackets kn1;
  Desk desk;
  Work work;
  Standing standing;
  std::optional<Finishing> finishing;
  Tally tally;
};

WallNow wall_now(const State& state);
/// Tells of an event, notes what it proves, and starts what its door wants started at the end.
void report(State& state, const LedgerEvent& event, Said& said);
/// What the state file `off` says now: root may have turned it off alone, while we did not answer. Returns whether that
/// is news; then nothing is guarded from here on.
bool learn_off(State& state, const std::string& text, Said& said);
/// Why the disk does not say what is true; nothing: it does, or it was not tried.
std::optional<Error> unremembered(const State& state);
/// Answers and forgets the jobs for which `error` is the end: all of them, or those of `ids`. A hand is told by its
/// answer; an error of anything else is logged.
void refuse_jobs(State& state, const Error& error, Said& said, const std::set<JobId>* ids = nullptr);
/// A signed packet that was accepted comes to nothing: it is told why, and an opening that it used up comes back. Any
/// other job is left alone.
void refuse_signed(State& state, const Opening& opening, std::string_view reason, Said& said);
void refuse_signed(State& state, const Closing& closing, std::string_view reason, Said& said);
/// Whether nothing can be committed, and nothing will be until a timer or the admin acts.
bool is_stuck(const State& state);
/// Whether ports are open unless the table stands: a door is enabled, and it is not off.
bool is_needed(const State& state);
/// What a look at the table says, behind commits of others: it is lost; or it stands, and elements that were removed
/// are closed next. Returns what puts the others right. Requires: it was looked at, with all grants.
Plan look_at_table(State& state, const Seen& seen);
/// Before a table that is gone comes back: closes what others took back while it was there, and what the
/// configuration does not give any more. Returns the elements that may still be there and have no owner.
Batch close_removed(State& state);
/// Of these elements the ones that have no owner now: in the maps, which are there only while a door needs them, or
/// in the sets.
Batch unowned(const State& state, const Batch& left_over, bool in_maps);
/// A load put all that is open anew, and what `close_removed` closed is gone: counters begin again.
void settle_anew(State& state, Batch open, Said& said);
/// Takes the steps that were done as done: what is listened to, what is on disk.
void take_steps(State& state, const Steps& steps, const Outcome& outcome);

} // namespace knock::keeper
