// SPDX-License-Identifier: GPL-2.0-or-later
// Sequences that hold others: what a knock does beside its own door.
#include "parts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <knock/sequence.hpp>

namespace knock::grammar {
namespace {

constexpr std::size_t kMostLooks =
    2'000'000; // pairs of sequences: 10,000 doors that begin alike would take a minute

struct Whose {
  Sequence sequence;
  const ReadDoor* read;
};

bool begins_with(const Sequence& sent, const Sequence& part) {
  return part.steps.size() <= sent.steps.size() &&
         std::equal(part.steps.begin(), part.steps.end(), sent.steps.begin());
}

/// A step of `sent` is no stray to `part`. Where pauses count, only from the beginning: elsewhere they are not the same.
bool is_sent_with(const Sequence& part, const Sequence& sent) {
  const bool any_order = part.any_order || sent.any_order;
  const bool pauses = shortest_pause(part.steps) != Millis{0} || shortest_pause(sent.steps) != Millis{0};
  return pauses && !any_order ? begins_with(sent, part) : holds(sent.steps, part.steps, any_order);
}

Finding finding_of(const Whose& sent, const Whose& part) {
  const auto& [longer, by] = sent;
  const auto& [shorter, whose] = part;
  const auto knock = [](const Sequence& one) { return one.closes ? "close_knock" : "knock"; };
  std::string text;
  if (!longer.closes && !shorter.closes && begins_with(longer, shorter))
    text = fmt::format("the knock of door {} begins with that of door {}: it opens both", longer.name,
                       shorter.name);
  else
    text = fmt::format("the {} of door {} holds the {} of door {}: it {} {}, too", knock(longer), longer.name,
                       knock(shorter), shorter.name, shorter.closes ? "closes" : "opens", shorter.name);
  return {Finding::Level::warning, place_of(whose->written->find(knock(shorter))->spot), std::move(text),
          fmt::format("begin one of them with another step (door {} is at {}:{}:{})", longer.name,
                      by->door.place.file, by->door.place.line, by->door.place.column),
          finding::kKnockPrefix};
}

} // namespace

void lint_overlaps(std::vector<Finding>& findings, std::span<const ReadDoor> doors) {
  std::vector<Whose> all;
  for (const auto& read : doors)
    if (read.door.enabled)
      for (auto& sequence : sequences_of(read.door)) all.push_back({std::move(sequence), &read});
  std::multimap<PacketKind, const Whose*> beginning; // by each kind that it may begin with
  for (const auto& one : all) {
    std::set<PacketKind> firsts;
    for (const auto& step : one.sequence.steps) {
      firsts.insert(step.kind);
      if (!one.sequence.any_order) break;
    }
    for (const auto& kind : firsts) beginning.emplace(kind, &one);
  }
  std::size_t looks = 0;
  std::set<const Whose*> told; // once, with the first that holds it
  for (const auto& sent : all) {
    for (const auto& step : sent.sequence.steps)
      for (auto [at, end] = beginning.equal_range(step.kind); at != end && ++looks < kMostLooks; ++at) {
        const auto& part = *at->second;
        if (&part == &sent || part.read == sent.read ||
            part.sequence.steps.size() > sent.sequence.steps.size())
          continue;
        if (is_sent_with(part.sequence, sent.sequence) && told.insert(&part).second)
          findings.push_back(finding_of(sent, part));
      }
  }
}

} // namespace knock::grammar
