// SPDX-License-Identifier: GPL-2.0-or-later
/// Strength: what a stranger has to guess of a sequence, in bits, as if each part of it was drawn at random.
///
/// The set of steps is the secret. A stranger who knows the set has only its order to guess: log2 n! bits. A stranger who
/// sees the packets knows everything.
#pragma once

#include <algorithm>
#include <string>

#include <knock/sequence.hpp>

namespace knock {

/// A knock of as many bits cannot be guessed within the stray budget, from however many addresses. Four ports in order,
/// neighbours swapped, have 61.7.
inline constexpr double kGoodBits = 56;

struct Strength {
  double steps = 0;     ///< ports, flags, lengths and words, a repeat once
  double rhythm = 0;    ///< pauses
  double any_order = 0; ///< what order = "any" takes from it
  double reorder = 0;   ///< what swapped neighbours take from it

  [[nodiscard]] double bits() const { return std::max(0.0, steps + rhythm - any_order - reorder); }
};

Strength strength_of(const Sequence& sequence);
/// "door ssh: knock of 4 steps, 61.7 bits to guess (64.0 steps, -2.3 reorder); whoever sees it can repeat it".
std::string strength_text(const Sequence& sequence);

} // namespace knock
