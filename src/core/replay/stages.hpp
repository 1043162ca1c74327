// SPDX-License-Identifier: GPL-2.0-or-later
/// Stages: nodes of the policy in the words of the config: doors, and steps as they are written.
#pragma once

#include <map>
#include <set>
#include <vector>

#include <knock/policy.hpp>
#include <knock/replay.hpp>

namespace knock {

class Stages {
 public:
  Stages(std::vector<Sequence> sequences, const Policy& policy);

  /// Of all sequences that the path to `node` lies on; in the order of the config, one that ends there first.
  const std::vector<Stage>& at(NodeId node);
  /// "step 2 of 4 of door ssh, step 2 of 3 of door nas"; the doors alone where `steps` is false.
  std::string text(NodeId node, bool steps = true);
  /// Whether the last step there overtook the one before it.
  bool swapped(NodeId node) { return !at(node).empty() && at(node).front().swapped; }
  /// The longest `within` of them: that of the attempt.
  Millis within(NodeId node);
  /// What rhythm the step `token` behind `node` has to keep.
  std::string rhythm(NodeId node, Token token);

  [[nodiscard]] bool is_knock(Port port) const { return ports_.contains(port); }
  [[nodiscard]] bool is_step(Token token) const { return tokens_.contains(token); }
  /// Whether a step at this port looks for a word.
  [[nodiscard]] bool has_word(Port port) const { return words_.contains(port); }
  /// The first sequence with this step.
  [[nodiscard]] const Sequence* with(Token token) const;
  [[nodiscard]] const Sequence& sequence(std::size_t index) const { return sequences_[index]; }

 private:
  struct Found {
    std::vector<Stage> stages;
    std::vector<std::size_t> sequences;
  };
  const Found& found(NodeId node);
  std::optional<Stage> stage(std::size_t index, const std::vector<Token>& path) const;

  std::vector<Sequence> sequences_;
  std::vector<std::vector<Token>> steps_; // of each sequence
  const Policy& policy_;
  std::set<Port> ports_, words_;
  std::set<Token> tokens_;
  std::map<NodeId, Found> found_;
};

/// As in a config: "10s", "500ms".
std::string duration_text(Millis time);
std::string door_text(const std::string& door, bool closes);

} // namespace knock
