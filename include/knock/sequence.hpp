// SPDX-License-Identifier: GPL-2.0-or-later
/// Sequence: the steps of one way in, or of a closing knock, and what they have to keep.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <knock/door_id.hpp>
#include <knock/step.hpp>
#include <knock/time.hpp>

namespace knock {

struct Config;
struct Door;

struct Sequence {
  DoorId door{};
  std::string name; ///< of the door, for errors
  std::vector<Step> steps;
  Millis within{10'000};
  std::uint32_t strays = 12;
  Millis reorder{50}; ///< 0: neighbours never swap
  bool any_order = false;
  bool closes = false; ///< ends the source's grants of the door
};

/// Why sequences make no policy together.
struct Clash {
  std::size_t sequence = 0;           ///< index of the one that cannot be added to the others
  std::optional<std::size_t> other{}; ///< with which it clashes
  std::string text;                   ///< with another: what stands between the names of both doors
  std::string advice;
};
/// As a sentence, both doors named.
std::string text_of(const Clash& clash, std::span<const Sequence> sequences);

/// The shortest pause; 0: there is none.
Millis shortest_pause(std::span<const Step> steps);
/// Whether neighbours may come swapped. Not where pauses count: an order that does not hold would pass by them.
bool takes_swaps(const Sequence& sequence);
/// Whether who sends `sent` sends all of `part`, pauses apart: in its order, or in `any_order`.
bool holds(std::span<const Step> sent, std::span<const Step> part, bool any_order);
/// How many nodes it takes at most: with swaps, each pair of neighbours has a path beside; in any order, each set of steps
/// is a node.
std::size_t most_nodes(const Sequence& sequence);

/// The knock, then the closing knock; those that the door has.
std::vector<Sequence> sequences_of(const Door& door);
/// Of all enabled doors.
std::vector<Sequence> sequences_of(const Config& config);

} // namespace knock
