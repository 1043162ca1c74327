// SPDX-License-Identifier: GPL-2.0-or-later
/// The rooms of the config, in the order they are passed: sections, doors, doors among themselves, lint.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reader.hpp"

namespace knock::grammar {

/// Which keys of sections stand where, over all files: "gate.trust".
using SetKeys = std::map<std::string, Spot, std::less<>>;

/// Reads one top-level table that is no door. Each of its keys may stand once over all files.
void read_section(Reader& in, const Written& section, SetKeys& seen, Config& config);
/// What sections must agree on, once all are read.
void check_sections(Reader& in, const SetKeys& seen, const Config& config);

struct ReadDoor {
  Door door;
  const Written* written = nullptr;
  bool sound = false; ///< nothing to complain about so far
};

ReadDoor read_door(Reader& in, const Written& written);
/// What a door cannot do inside the admin's own table.
void check_embedded(Reader& in, const Written& door);

// Keys of a door that say what opens, and to which sources.
void read_opens(Reader& in, const Written& value, Door& door);
void read_forward(Reader& in, const Written& value, Door& door);
void read_grant(Reader& in, const Written& value, Door& door);
void refuse_port(Reader& in, const Written& item, std::string_view what, std::string_view example);

/// Names, sequences and ports over all doors.
void check_doors(Reader& in, std::span<const ReadDoor> doors, Mode mode);
/// Where signed packets come to is no port of a door. All of the configuration is read.
void check_kn1_ports(Reader& in, std::span<const ReadDoor> doors, const SetKeys& seen, const Config& config);
/// Gives each door its share of `[limits] grants`. `alone`: that limit may stand in a file not read.
void fill_grants(Reader& in, std::span<ReadDoor> doors, const SetKeys& seen, const Config& config,
                 bool alone);
/// Where ranges of two doors overlap, both become pieces that they have in common: the kernel takes no two of a source
/// that overlap.
void cut_ranges(Reader& in, std::span<ReadDoor> doors);
/// Gives doors that open any port those of all others. `alone`: there may be others in files not read.
void fill_any(Reader& in, std::span<ReadDoor> doors, bool alone);

/// A knock that opens or closes another door, too.
void lint_overlaps(std::vector<Finding>& findings, std::span<const ReadDoor> doors);
/// What is allowed and unwise. `with_gate`: the file that may hold `[gate] trust` was read too.
void lint(std::vector<Finding>& findings, const Config& config, std::span<const ReadDoor> doors,
          bool with_gate, std::optional<std::uint64_t> seed);

} // namespace knock::grammar
