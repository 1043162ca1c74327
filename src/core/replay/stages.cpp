// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/replay/stages.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace knock {

std::string duration_text(Millis time) {
  const bool whole = time.count() % 1'000 == 0;
  return fmt::format("{}{}", whole ? time.count() / 1'000 : time.count(), whole ? "s" : "ms");
}

std::string door_text(const std::string& door, bool closes) {
  return closes ? door + " (to close)" : door;
}

Stages::Stages(std::vector<Sequence> sequences, const Policy& policy)
    : sequences_(std::move(sequences)), policy_(policy) {
  for (const auto& sequence : sequences_) {
    auto& tokens = steps_.emplace_back();
    for (const auto& step : sequence.steps) {
      tokens.push_back(policy.kinds().token_of(step.kind));
      tokens_.insert(tokens.back());
      ports_.insert(step.kind.port);
      if (!step.kind.word.empty()) words_.insert(step.kind.port);
    }
  }
}

/// Nothing when `path` is not on the way through the sequence.
std::optional<Stage> Stages::stage(std::size_t index, const std::vector<Token>& path) const {
  const auto& sequence = sequences_[index];
  const auto& tokens = steps_[index];
  const auto steps = path.size();
  if (steps == 0 || steps > tokens.size()) return std::nullopt;
  std::vector<std::size_t> next;
  bool swapped = false;
  const auto same =
      static_cast<std::size_t>(std::mismatch(path.begin(), path.end(), tokens.begin()).first - path.begin());
  if (sequence.any_order) {
    for (const auto token : path)
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) return std::nullopt;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (std::find(path.begin(), path.end(), tokens[i]) == path.end()) next.push_back(i);
  } else if (same == steps) {
    if (steps < tokens.size()) next.push_back(steps);
  } else if (same + 1 == steps && steps < tokens.size() && path[same] == tokens[steps] &&
             takes_swaps(sequence)) {
    swapped = true;
    next.push_back(same);
  } else {
    return std::nullopt;
  }
  Stage stage{sequence.name, sequence.closes, static_cast<unsigned>(steps), swapped, tokens.size(), {}};
  for (const auto i : next)
    stage.next += (stage.next.empty() ? "" : " or ") + to_string(sequence.steps[i].kind);
  return stage;
}

const Stages::Found& Stages::found(NodeId node) {
  const auto [it, fresh] = found_.try_emplace(node);
  auto& found = it->second;
  if (!fresh) return found;
  std::vector<Token> path;
  for (auto at = node; at != 0; at = policy_.node(at).parent) path.push_back(policy_.node(at).token);
  std::reverse(path.begin(), path.end());
  for (const bool swapped : {false, true}) { // a neighbour that came first only where it is nothing else
    if (!found.stages.empty()) break;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      auto one = stage(i, path);
      if (!one || one->swapped != swapped) continue;
      const bool ends = policy_.node(node).ending == i + 1;
      found.stages.insert(ends ? found.stages.begin() : found.stages.end(), std::move(*one));
      found.sequences.insert(ends ? found.sequences.begin() : found.sequences.end(), i);
    }
  }
  return found;
}

const std::vector<Stage>& Stages::at(NodeId node) {
  return found(node).stages;
}

std::string Stages::text(NodeId node, bool steps) {
  constexpr std::size_t kShown = 3; // doors
  const auto& stages = at(node);
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, stages.size()); ++i) {
    const auto& one = stages[i];
    if (i > 0) text += ", ";
    if (steps) text += fmt::format("step {} of {} of ", one.step + (one.swapped ? 1 : 0), one.of);
    text += "door " + door_text(one.door, one.closes);
    if (steps && one.swapped) text += fmt::format(" before step {}", one.step);
  }
  if (stages.size() > kShown) text += fmt::format(" and {} more", stages.size() - kShown);
  return text;
}

Millis Stages::within(NodeId node) {
  Millis longest{0};
  for (const auto index : found(node).sequences) longest = std::max(longest, sequences_[index].within);
  return longest;
}

std::string Stages::rhythm(NodeId node, Token token) {
  for (const auto index : found(node).sequences) {
    const auto& sequence = sequences_[index];
    const auto at = policy_.depth(node);
    if (at >= sequence.steps.size() || steps_[index][at] != token) continue;
    const auto pause = sequence.steps[at].pause;
    const auto door = door_text(sequence.name, sequence.closes);
    if (pause > Millis{0})
      return fmt::format("door {} wants a pause of {}, a quarter more or less, before step {}", door,
                         duration_text(pause), at + 1);
    return fmt::format("door {} wants step {} at most {} after step {}", door, at + 1,
                       duration_text(shortest_pause(sequence.steps) / 2), at);
  }
  return {};
}

const Sequence* Stages::with(Token token) const {
  for (std::size_t i = 0; i < sequences_.size(); ++i)
    if (std::find(steps_[i].begin(), steps_[i].end(), token) != steps_[i].end()) return &sequences_[i];
  return nullptr;
}

} // namespace knock
