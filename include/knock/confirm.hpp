// SPDX-License-Identifier: GPL-2.0-or-later
/// Unconfirmed: ports that `reload --confirm` guards only until they are confirmed, and what proves it.
///
/// The kernel unguards them by itself (elements with a timeout). This record outlives us, so that a daemon
/// that restarts meanwhile, or after a reboot, does not guard for good what nobody confirmed.
/// State file, one line a port: `tcp/22 DEADLINE BOOT BEGUN UID [SOURCE DOOR knock|hand STEPS]`, times in
/// milliseconds of CLOCK_MONOTONIC; DEADLINE 0 when the end was told. An earlier version wrote the first
/// three words alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/open_grant.hpp>
#include <knock/ruleset.hpp>
#include <knock/time.hpp>

namespace knock {

/// Who came in at a port on trial.
struct CameIn {
  Address source;
  std::string door;
  bool by_hand = false;
  std::uint64_t steps = 0; ///< hash of the door's knock at that time
  bool operator==(const CameIn&) const = default;
};

struct Trial {
  Instant until{};                    ///< the kernel lets the port go then
  bool told = false;                  ///< that this has happened
  Instant begun{};                    ///< means nothing without `uid`
  std::optional<std::uint32_t> uid{}; ///< who began it; absent: not known
  std::optional<CameIn> opening{};    ///< the first since then, or the first by a knock
  bool operator==(const Trial&) const = default;
};

/// Each unconfirmed port, those that are over included.
using Unconfirmed = std::map<Port, Trial>;

std::string encode_unconfirmed(const Unconfirmed& ports, std::string_view boot);
/// Deadlines of another boot read as long past. Returns nothing for a file that is not ours.
std::optional<Unconfirmed> parse_unconfirmed(std::string_view text, std::string_view boot);

/// `sets` as they are to be loaded now: an unconfirmed port with its time left, an ended one not at all.
StaticSets with_unconfirmed(StaticSets sets, const Unconfirmed& ports, Instant now);
/// What the boot file should hold; empty: there should be none.
std::string boot_file_text(const Config& config, const Unconfirmed& ports, bool off);

/// Notes at each port on trial that `grant` opened it, where the port is its door's. Returns whether that was
/// news.
bool note_opening(Unconfirmed& ports, const Config& config, const OpenGrant& grant, Instant now);
/// The enabled doors of `port`; with a knock, where any has one.
std::vector<const Door*> doors_to_prove(const Config& config, Port port);
/// Whether the port was opened as its users will open it: by a door that has it still, by the knock that the
/// door has still, by hand only where no door has one.
bool is_proven(const Config& config, Port port, const Trial& trial);

} // namespace knock
