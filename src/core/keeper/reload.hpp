// SPDX-License-Identifier: GPL-2.0-or-later
/// Reload: from the configuration that runs to the next one, as a pure function; start and `on` are the same act.
///
/// In:      what is guarded now, both configurations, what is on trial.   Out: what shall be true, what is said.
/// Time:    passed in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <knock/ledger.hpp>

#include "core/keeper/memory.hpp"
#include "core/keeper/round.hpp"

namespace knock::keeper {

struct ReloadOptions {
  std::optional<Millis> confirm{}; ///< guard new ports only that long
  bool now = false;                ///< guard new ports for good, unconfirmed ones too
  bool ask = false;                ///< refuse to guard a new port: it has to be said for how long
  std::uint32_t uid = 0;           ///< who asks
  std::string fresh{};             ///< users: the device whose key was made just now
};

/// What a reload did.
struct Applied {
  std::vector<Port> guarded;       ///< newly
  std::vector<Port> fresh;         ///< of these, what was not to be guarded before
  std::vector<Port> unguarded;     ///< no longer
  std::vector<OpenGrant> sessions; ///< connections that go on by a grant
  std::size_t closed = 0;          ///< grants of doors that are gone
  bool changed = false;            ///< config, table, or what is on trial
};

/// What shall be true.
struct Wish {
  ConfigPointer config;
  Memory memory{};
  StaticSets sets{};
  Applied applied{};
};

bool any_door(const Config& config);
/// What the static sets hold under this memory.
StaticSets sets_of(const Config& config, const Memory& memory, Instant now);

/// `before` is null at start. `guarded`: what is, sorted.
Wish plan_reload(const Config* before, ConfigPointer next, const Memory& memory, const ReloadOptions& options,
                 const std::vector<Guarded>& guarded, Instant now);
/// Whether `options.ask` forbids it: it would guard a new port, and the request does not say for how long.
bool is_forbidden(const Wish& wish, const ReloadOptions& options);
/// Why `next` cannot follow `before` without a restart; nothing: it can.
std::optional<Failure> unchangeable(const Config& before, const Config& next, const std::string& path);

/// For each connection to a port that is newly guarded, a grant of just that connection.
std::vector<GrantRequest> sessions_of(const Config& next, const std::vector<Port>& ports,
                                      const std::vector<GrantKey>& connections, std::size_t before);
/// One moment by both clocks.
struct WallNow {
  Instant at{};
  Moment wall{};
};
/// Grants that the configuration does not give any more, by why. Without `now` no access is over by its date.
std::map<std::string, std::set<std::uint64_t>> gone_grants(const Config& config, const Ledger& ledger,
                                                           const WallNow& now = {});

/// What a reload did, line by line. `before`: what was on trial.
std::vector<std::string> reload_texts(const ReloadOptions& options, const Applied& applied,
                                      const Unconfirmed& before, Instant now);
/// "tcp/22 udp/53"
std::string names(const std::vector<Port>& ports);

} // namespace knock::keeper
