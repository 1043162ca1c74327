// SPDX-License-Identifier: GPL-2.0-or-later
/// Heard: what a round of the keeper begins with: what came in, what must be read, what was read.
///
/// The next values of a round: round.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <knock/batch.hpp>
#include <knock/config.hpp>
#include <knock/control.hpp>
#include <knock/disturbance.hpp>
#include <knock/flow.hpp>
#include <knock/record.hpp>
#include <knock/result.hpp>
#include <knock/ruleset.hpp>
#include <knock/stamps.hpp>
#include <knock/table_seen.hpp>
#include <knock/verbs.hpp>

namespace knock::keeper {

// ---- hear: all that one poll reports ready

/// A request of knockctl, or a signal. Its answer bears the ticket.
struct Asked {
  std::uint64_t ticket = 0;
  Request request;
  Right right = Right::read; ///< what its sender may do
  std::uint32_t uid = 0;
  bool by_signal = false; ///< SIGHUP: no client waits for the answer
};

/// Whether the runner took a command of an earlier round.
struct Ran {
  std::uint64_t ticket = 0;
  std::optional<Error> error{};
};

struct Heard {
  Instant now{};
  std::int64_t wall = 0;                   ///< seconds of the epoch
  WallClock clock{};                       ///< only where signed packets are taken
  std::vector<Record> completed{};         ///< by the engine, which is not trusted
  std::vector<Kn1Record> kn1{};            ///< likewise
  std::vector<Disturbance> disturbances{}; ///< in the order of the kernel, as all that follows
  std::vector<FlowEvent> flows{};
  bool flows_overran = false; ///< events of connections were lost
  std::vector<Asked> asked{};
  std::vector<Ran> ran{};
  std::optional<std::set<Address>> own{}; ///< addresses of this machine, when they changed
  std::optional<std::string> off{};       ///< text of the state file `off`, empty when there is none
};

// ---- ask and look: what must be read first

struct Ask {
  std::vector<GrantKey> elements{}; ///< counters of these, and whether they are there
  bool grants = false;              ///< all elements of the grant sets
  bool table = false;
  bool connections = false;  ///< TCP connections of this host
  bool flows = false;        ///< connections that conntrack knows
  std::vector<Flow> lives{}; ///< of these, which have ended
  bool config = false;       ///< the files, as they are now
  bool memory = false;       ///< the state files
  bool boot_file = false;
  bool stamps = false; ///< of signed packets: kn1.run and kn1.ceiling

  void add(const std::vector<GrantKey>& keys) { elements.insert(elements.end(), keys.begin(), keys.end()); }
};

/// Texts of the state files; empty when there is none.
struct MemorySeen {
  std::string unconfirmed;
  std::string off;
  std::string last_good;
};

/// The files of stamps. Errors: ENOENT is none, the file is empty then.
struct StampsSeen {
  std::optional<StampRun> run{}; ///< nothing: none of this boot
  std::string ceilings{};
  std::optional<Error> ceilings_error{}; ///< they are there, and cannot be read
};

/// What was asked for, and nothing else.
struct Seen {
  Instant at{};                    ///< behind all of it: what ended until then may be missing by its time
  std::vector<Element> elements{}; ///< those that are there
  std::optional<Error> elements_error{};
  std::optional<Result<std::vector<Element>>> grants{};
  std::optional<Result<TableSeen>> table{};
  std::optional<Result<std::vector<GrantKey>>> connections{}; ///< as the keys of `session` elements; sorted
  std::optional<Result<std::vector<Flow>>> flows{};           ///< sorted
  std::vector<Flow> gone{};                                   ///< of `lives`
  std::optional<ParsedConfig> config{};
  std::optional<Result<MemorySeen>> memory{};
  std::optional<Result<std::string>> boot_file{}; ///< ENOENT: there is none
  std::optional<Result<StampsSeen>> stamps{};
};

} // namespace knock::keeper
