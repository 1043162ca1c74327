// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/policy.hpp>

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace knock {

/// Builds the trie in order of insertion, then numbers it by depth.
class PolicyCompiler {
 public:
  Result<void> add_path(const Sequence& sequence, std::uint16_t index);
  void add_swaps(const Sequence& sequence);
  Result<Policy> finish(std::span<const Sequence> sequences, Millis cooloff);

 private:
  using Id = std::uint32_t; // of a draft; 0 is the root
  struct Draft {
    Node node;
    Id parent = 0;
    std::size_t depth = 0;
  };
  struct Swap {
    Id from = 0, back = 0, late = 0;
    Token token{};
    Ticks reorder = 0;
  };

  Id child(Id parent, Token token) {
    const auto [it, fresh] = children_.try_emplace({parent, token}, static_cast<Id>(drafts_.size()));
    if (fresh) {
      Draft draft;
      draft.node.token = token;
      draft.parent = parent;
      draft.depth = drafts_[parent].depth + 1;
      drafts_.push_back(draft);
    }
    return it->second;
  }
  void widen(Id id, const Sequence& sequence) {
    auto& node = drafts_[id].node;
    node.within = std::max(node.within, ticks_in(sequence.within));
    node.strays = std::max(node.strays, static_cast<std::uint8_t>(sequence.strays));
  }
  std::vector<NodeId> number(Policy& policy) const;
  void put_edges(Policy& policy, const std::vector<NodeId>& number) const;

  std::vector<Draft> drafts_{1};
  std::map<std::pair<Id, Token>, Id> children_;
  std::map<std::pair<Id, Token>, Swap> swaps_;
};

Result<void> PolicyCompiler::add_path(const Sequence& sequence, std::uint16_t index) {
  KNOCK_ASSERT(!sequence.steps.empty() && sequence.steps.size() <= kKnock.most);
  Id at = 0;
  for (const auto& step : sequence.steps) {
    at = child(at, token_of(step));
    drafts_[at].node.own = true;
    widen(at, sequence);
  }
  auto& ending = drafts_[at].node.ending;
  if (ending != 0) return tl::unexpected(Error{"", ending - 1, ""}); // told by who knows the names
  ending = static_cast<std::uint16_t>(index + 1U);
  return {};
}

void PolicyCompiler::add_swaps(const Sequence& sequence) {
  Id before = 0;
  for (std::size_t i = 0; i + 1 < sequence.steps.size(); ++i) {
    const auto a = token_of(sequence.steps[i]);
    const auto b = token_of(sequence.steps[i + 1]);
    const auto after_a = child(before, a);
    if (sequence.reorder > Millis{0} && a != b) {
      const auto out = child(before, b);
      widen(out, sequence);
      auto& swap = swaps_[{out, a}];
      swap = {out, child(after_a, b), drafts_[out].node.own ? 0 : after_a, a,
              std::max(swap.reorder, ticks_in(sequence.reorder))};
    }
    before = after_a;
  }
}

std::vector<NodeId> PolicyCompiler::number(Policy& policy) const {
  std::vector<Id> order;
  for (Id id = 1; id < drafts_.size(); ++id) order.push_back(id);
  std::stable_sort(order.begin(), order.end(),
                   [&](Id a, Id b) { return drafts_[a].depth < drafts_[b].depth; });
  std::vector<NodeId> number(drafts_.size(), 0);
  policy.nodes_.resize(drafts_.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& draft = drafts_[order[i]];
    const auto id = static_cast<NodeId>(i + 1);
    number[order[i]] = id;
    auto& node = policy.nodes_[id];
    node = draft.node;
    node.parent = number[draft.parent];
    node.leaf = true;
    policy.nodes_[node.parent].leaf = false;
    if (draft.depth == 1) policy.first_steps_ = id;
  }
  for (const auto& [key, swap] : swaps_) policy.nodes_[number[swap.from]].leaf = false;
  return number;
}

void PolicyCompiler::put_edges(Policy& policy, const std::vector<NodeId>& number) const {
  std::size_t size = 4;
  while (size < 2 * (children_.size() + swaps_.size())) size *= 2;
  policy.edges_.assign(size, {});
  const auto edge_of = [&](Id from, Token token) -> Edge& {
    auto at = policy.slot(number[from], token);
    while (policy.edges_[at].used &&
           (policy.edges_[at].from != number[from] || policy.edges_[at].token != token))
      at = (at + 1) & (size - 1);
    auto& edge = policy.edges_[at];
    edge.used = true;
    edge.from = number[from];
    edge.token = token;
    return edge;
  };
  for (const auto& [key, to] : children_) {
    auto& edge = edge_of(key.first, key.second);
    edge.forward = number[to];
    edge.out = !drafts_[to].node.own;
  }
  for (const auto& [key, swap] : swaps_) {
    auto& edge = edge_of(swap.from, swap.token);
    edge.back = number[swap.back];
    edge.late = number[swap.late];
    edge.reorder = swap.reorder;
  }
}

Result<Policy> PolicyCompiler::finish(std::span<const Sequence> sequences, Millis cooloff) {
  if (drafts_.size() - 1 > kMaxNodes)
    return tl::unexpected(Error{
        fmt::format("all sequences together need {} automaton nodes, {} fit", drafts_.size() - 1, kMaxNodes),
        0, "set reorder = \"0s\" in some doors, or use fewer"});
  Policy policy;
  put_edges(policy, number(policy));
  for (const auto& sequence : sequences)
    policy.endings_.push_back(
        {sequence.door, ticks_in(sequence.within), static_cast<std::uint8_t>(sequence.strays)});
  policy.cooloff_ = ticks_in(cooloff);
  return policy;
}

Result<Policy> Policy::compile(std::span<const Sequence> sequences, Millis cooloff) {
  PolicyCompiler compiler;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (auto added = compiler.add_path(sequences[i], static_cast<std::uint16_t>(i)); !added)
      return tl::unexpected(
          Error{fmt::format("doors {} and {} have the same sequence",
                            sequences[static_cast<std::size_t>(added.error().code)].name, sequences[i].name),
                0, "change a step of one"});
  }
  for (const auto& sequence : sequences)
    compiler.add_swaps(sequence); // once it is known what is on an own path
  return compiler.finish(sequences, cooloff);
}

std::vector<NodeId> Policy::carry_over(const Policy& old) const {
  std::vector<NodeId> map(old.nodes_.size(), 0);
  for (std::size_t id = 1; id < old.nodes_.size(); ++id) { // parents have lower numbers
    const auto& node = old.nodes_[id];
    if (node.parent != 0 && map[node.parent] == 0) continue;
    if (const auto* found = edge(map[node.parent], node.token)) map[id] = found->forward;
  }
  return map;
}

} // namespace knock
