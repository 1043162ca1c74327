// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/sequence.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <knock/config.hpp>

namespace knock {

Millis shortest_pause(std::span<const Step> steps) {
  Millis shortest{0};
  for (const auto& step : steps)
    if (step.pause > Millis{0} && (shortest == Millis{0} || step.pause < shortest)) shortest = step.pause;
  return shortest;
}

bool takes_swaps(const Sequence& sequence) {
  return sequence.reorder > Millis{0} && !sequence.any_order && shortest_pause(sequence.steps) == Millis{0};
}

bool holds(std::span<const Step> sent, std::span<const Step> part, bool any_order) {
  if (any_order)
    return std::all_of(part.begin(), part.end(), [&](const Step& one) {
      return std::any_of(sent.begin(), sent.end(), [&](const Step& other) { return one.kind == other.kind; });
    });
  auto at = part.begin();
  for (const auto& step : sent)
    if (at != part.end() && step.kind == at->kind) ++at;
  return at == part.end();
}

std::size_t most_nodes(const Sequence& sequence) {
  const auto steps = sequence.steps.size();
  if (sequence.any_order) return (std::size_t{1} << steps) - 1;
  return takes_swaps(sequence) && steps > 0 ? 2 * steps - 1 : steps;
}

std::string text_of(const Clash& clash, std::span<const Sequence> sequences) {
  if (!clash.other) return clash.text;
  return fmt::format("door {} {} door {}", sequences[clash.sequence].name, clash.text,
                     sequences[*clash.other].name);
}

std::vector<Sequence> sequences_of(const Door& door) {
  std::vector<Sequence> sequences;
  Sequence sequence{door.id,     door.name,    door.knock,     door.within,
                    door.strays, door.reorder, door.any_order, false};
  if (!door.knock.empty()) sequences.push_back(sequence);
  sequence.steps = door.close_knock;
  sequence.closes = true;
  sequence.reorder = Millis{0}; // else a knock whose packets come swapped could close
  if (!door.close_knock.empty()) sequences.push_back(std::move(sequence));
  return sequences;
}

std::vector<Sequence> sequences_of(const Config& config) {
  std::vector<Sequence> sequences;
  for (const auto& door : config.doors)
    if (door.enabled)
      for (auto& sequence : sequences_of(door)) sequences.push_back(std::move(sequence));
  return sequences;
}

} // namespace knock
