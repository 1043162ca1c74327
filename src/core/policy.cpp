// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/policy.hpp>

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include <knock/result.hpp>

namespace knock {

namespace {

/// The gap that each step may have to the one before it.
std::vector<Gaps> gap_rules(const Sequence& sequence) {
  std::vector<Gaps> rules(sequence.steps.size());
  const auto shortest = shortest_pause(sequence.steps);
  if (shortest == Millis{0}) return rules;
  for (std::size_t i = 1; i < rules.size(); ++i) {
    const auto pause = sequence.steps[i].pause;
    rules[i].least = static_cast<Ticks>(pause * 3 / 4 / kTick); // rounded towards the honest, as all limits
    rules[i].most = ticks_in(pause > Millis{0} ? pause * 5 / 4 : shortest / 2);
  }
  return rules;
}

constexpr std::string_view kSameSequence = "has the same steps as";
constexpr std::string_view kOtherRhythm = "has steps in common, under another rhythm, with";

} // namespace

/// Builds the trie in order of insertion, then numbers it by depth.
class PolicyCompiler {
 public:
  explicit PolicyCompiler(std::span<const Sequence> sequences)
      : sequences_(sequences), kinds_(kinds_of(sequences)) {}

  tl::expected<Policy, Clash> compile(Millis cooloff);

 private:
  using Id = std::uint32_t; // of a draft; 0 is the root
  using Tokens = std::set<Token>;
  using Added = tl::expected<void, Clash>;
  struct Draft {
    Node node;
    Id parent = 0;
    std::size_t depth = 0;
    Gaps gaps{};          // to the step before
    std::size_t made = 0; // by which sequence
  };
  struct Swap {
    Id back = 0, late = 0;
    Ticks reorder = 0;
    bool any_order = false; // of `late`: a knock in any order goes on there
  };
  /// Where a knock in any order stands: a path of other doors, as far as it is one, else a node of its set.
  struct Reached {
    Id id;
    Tokens tokens;
  };

  static Kinds kinds_of(std::span<const Sequence> sequences) {
    std::vector<PacketKind> all;
    for (const auto& sequence : sequences)
      for (const auto& step : sequence.steps) all.push_back(step.kind);
    return Kinds(std::move(all));
  }
  [[nodiscard]] Token token(const Sequence& sequence, std::size_t step) const {
    return kinds_.token_of(sequence.steps[step].kind);
  }
  Id add_draft(Id parent, Token token, std::size_t index) {
    Draft draft;
    draft.node.token = token;
    draft.parent = parent;
    draft.depth = drafts_[parent].depth + 1;
    draft.made = index;
    drafts_.push_back(draft);
    return static_cast<Id>(drafts_.size() - 1);
  }
  Id child(Id parent, Token token, std::size_t index) {
    const auto [it, fresh] = children_.try_emplace({parent, token}, 0);
    if (fresh) it->second = add_draft(parent, token, index);
    return it->second;
  }
  void widen(Id id, const Sequence& sequence) {
    auto& node = drafts_[id].node;
    node.within = std::max(node.within, ticks_in(sequence.within));
    node.strays = std::max(node.strays, static_cast<std::uint8_t>(sequence.strays));
  }
  static tl::unexpected<Clash> alike(std::string_view what, std::size_t first, std::size_t second) {
    return tl::unexpected(Clash{second, first, std::string{what}, "change a step of one"});
  }
  Added add(std::size_t index, Added (PolicyCompiler::*way)(std::size_t));
  Added end(Id id, std::size_t index);
  Added add_path(std::size_t index);
  Added add_swaps(std::size_t index);
  Added add_any_order(std::size_t index);
  Added lead_on(const Reached& from, Token token, std::size_t index, std::vector<Reached>& reached);
  Id set_node(Id parent, Token token, const Tokens& tokens, std::size_t index);
  std::vector<NodeId> number(Policy& policy) const;
  void put_edges(Policy& policy, const std::vector<NodeId>& number) const;

  std::span<const Sequence> sequences_;
  Kinds kinds_;
  std::vector<Draft> drafts_{1};
  std::map<std::pair<Id, Token>, Id> children_;
  std::map<std::pair<Id, Token>, Swap> swaps_;
  std::map<Tokens, Id> sets_;
};

PolicyCompiler::Added PolicyCompiler::end(Id id, std::size_t index) {
  auto& ending = drafts_[id].node.ending;
  if (ending != 0) return alike(kSameSequence, ending - 1U, index);
  ending = static_cast<std::uint16_t>(index + 1U);
  return {};
}

PolicyCompiler::Added PolicyCompiler::add_path(std::size_t index) {
  const auto& sequence = sequences_[index];
  KNOCK_ASSERT(!sequence.steps.empty() && sequence.steps.size() <= kKnock.most);
  const auto rules = gap_rules(sequence);
  Id at = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto before = drafts_.size();
    at = child(at, token(sequence, i), index);
    auto& draft = drafts_[at];
    if (at >= before) draft.gaps = rules[i];
    if (draft.gaps != rules[i]) return alike(kOtherRhythm, draft.made, index);
    draft.node.own = true;
    widen(at, sequence);
  }
  return end(at, index);
}

PolicyCompiler::Added PolicyCompiler::add_swaps(std::size_t index) {
  const auto& sequence = sequences_[index];
  Id before = 0;
  for (std::size_t i = 0; i + 1 < sequence.steps.size(); ++i) {
    const auto a = token(sequence, i);
    const auto b = token(sequence, i + 1);
    const auto after_a = child(before, a, index);
    if (a != b) {
      const auto out = child(before, b, index);
      if (drafts_[out].gaps != Gaps{}) return alike(kOtherRhythm, drafts_[out].made, index);
      widen(out, sequence);
      auto& swap = swaps_[{out, a}];
      swap = {child(after_a, b, index), after_a, std::max(swap.reorder, ticks_in(sequence.reorder))};
    }
    before = after_a;
  }
  return {};
}

PolicyCompiler::Id PolicyCompiler::set_node(Id parent, Token token, const Tokens& tokens, std::size_t index) {
  const auto [it, fresh] = sets_.try_emplace(tokens, 0);
  if (fresh) it->second = add_draft(parent, token, index);
  return it->second;
}

/// Where `token` of a knock in any order leads from there. A path of another door that comes this way goes on as it is, and
/// is a place of this knock, too.
PolicyCompiler::Added PolicyCompiler::lead_on(const Reached& from, Token token, std::size_t index,
                                              std::vector<Reached>& reached) {
  auto tokens = from.tokens;
  tokens.insert(token);
  const auto swap = swaps_.find({from.id, token});
  const auto path = children_.find({from.id, token});
  if (path != children_.end()) {
    if (const auto& draft = drafts_[path->second]; draft.gaps != Gaps{})
      return alike(kOtherRhythm, draft.made, index);
    reached.push_back({path->second, std::move(tokens)});
  } else if (swap != swaps_.end()) {
    swap->second.late = set_node(from.id, token, tokens, index);
    swap->second.any_order = true;
    reached.push_back({swap->second.back, tokens});
    reached.push_back({swap->second.late, std::move(tokens)});
  } else {
    const auto id = set_node(from.id, token, tokens, index);
    children_.try_emplace({from.id, token}, id);
    reached.push_back({id, std::move(tokens)});
  }
  return {};
}

PolicyCompiler::Added PolicyCompiler::add_any_order(std::size_t index) {
  const auto& sequence = sequences_[index];
  Tokens all;
  for (std::size_t i = 0; i < sequence.steps.size(); ++i) all.insert(token(sequence, i));
  std::vector<Reached> reached{{0, {}}};
  std::set<Id> seen{0};
  for (std::size_t at = 0; at < reached.size(); ++at) {
    const auto from = reached[at];
    std::vector<Reached> next;
    for (const auto token : all)
      if (!from.tokens.contains(token))
        if (auto led = lead_on(from, token, index, next); !led) return led;
    for (auto& to : next) {
      if (!seen.insert(to.id).second) continue;
      drafts_[to.id].node.own = true;
      widen(to.id, sequence);
      if (to.tokens.size() == all.size())
        if (auto ended = end(to.id, index); !ended) return ended;
      reached.push_back(std::move(to));
    }
  }
  return {};
}

PolicyCompiler::Added PolicyCompiler::add(std::size_t index, Added (PolicyCompiler::*way)(std::size_t)) {
  auto added = (this->*way)(index);
  if (!added || drafts_.size() - 1 <= kMaxNodes) return added;
  std::size_t nodes = 0;
  for (const auto& sequence : sequences_) nodes += most_nodes(sequence);
  return tl::unexpected(
      Clash{index,
            {},
            fmt::format("the sequences of all doors take {} nodes, {} is the most", nodes, kMaxNodes),
            "write reorder = \"0s\": n steps then take n nodes, not 2n - 1"});
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
    if (draft.depth == 1) policy.first_steps_ = id;
  }
  for (const auto& [key, to] : children_) policy.nodes_[number[key.first]].leaf = false;
  for (const auto& [key, swap] : swaps_) policy.nodes_[number[key.first]].leaf = false;
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
  std::map<Gaps, std::uint16_t> rules{{Gaps{}, 0}};
  const auto rule = [&](const Gaps& gaps) {
    const auto [it, fresh] = rules.try_emplace(gaps, static_cast<std::uint16_t>(policy.gaps_.size()));
    if (fresh) policy.gaps_.push_back(gaps);
    return it->second;
  };
  for (const auto& [key, to] : children_) {
    auto& edge = edge_of(key.first, key.second);
    edge.forward = number[to];
    edge.out = !drafts_[to].node.own;
    edge.gaps = rule(drafts_[to].gaps);
  }
  for (const auto& [key, swap] : swaps_) {
    auto& edge = edge_of(key.first, key.second);
    edge.back = number[swap.back];
    edge.late = swap.any_order || !drafts_[key.first].node.own ? number[swap.late] : NodeId{0};
    auto gaps = policy.gaps_[edge.gaps];
    gaps.reorder = swap.reorder;
    edge.gaps = rule(gaps);
  }
}

void Policy::mark_nodes() {
  for (const auto& edge : edges_) {
    if (!edge.used) continue;
    const auto sort = sort_of(edge.token);
    auto& node = nodes_[edge.from];
    node.pings = node.pings || sort == Sort::ping;
    node.flags = node.flags || sort == Sort::flags;
    node.inside = node.inside || is_matched(edge.token);
  }
}

tl::expected<Policy, Clash> PolicyCompiler::compile(Millis cooloff) {
  if (kinds_.special().size() > kMaxWords)
    return tl::unexpected(
        Clash{sequences_.size() - 1,
              {},
              fmt::format(
                  "all doors together have {} kinds of steps with flags, a length or a word, {} is the most",
                  kinds_.special().size(), kMaxWords),
              "use plain ports in some doors"});
  const auto each = [&](auto takes, auto way) -> Added {
    for (std::size_t i = 0; i < sequences_.size(); ++i)
      if (takes(sequences_[i]))
        if (auto added = add(i, way); !added) return added;
    return {};
  };
  const auto in_order = [](const Sequence& sequence) { return !sequence.any_order; };
  const auto in_any_order = [](const Sequence& sequence) { return sequence.any_order; };
  auto added = each(in_order, &PolicyCompiler::add_path);
  if (added) added = each(takes_swaps, &PolicyCompiler::add_swaps); // once it is known what is on an own path
  if (added) added = each(in_any_order, &PolicyCompiler::add_any_order);
  if (!added) return tl::unexpected(std::move(added.error()));
  if (2 * (children_.size() + swaps_.size()) > kMaxEdges)
    return tl::unexpected(Clash{sequences_.size() - 1,
                                {},
                                fmt::format("the sequences of all doors take {} edges, {} is the most",
                                            children_.size() + swaps_.size(), kMaxEdges / 2),
                                "write order = \"strict\" in some doors"});
  Policy policy;
  put_edges(policy, number(policy));
  policy.mark_nodes();
  for (const auto& sequence : sequences_)
    policy.endings_.push_back({sequence.door, ticks_in(sequence.within),
                               static_cast<std::uint8_t>(sequence.strays), sequence.closes});
  policy.kinds_ = std::move(kinds_);
  policy.cooloff_ = ticks_in(cooloff);
  return policy;
}

tl::expected<Policy, Clash> Policy::compile(std::span<const Sequence> sequences, Millis cooloff) {
  return PolicyCompiler(sequences).compile(cooloff);
}

std::vector<NodeId> Policy::carry_over(const Policy& old) const {
  std::vector<NodeId> map(old.nodes_.size(), 0);
  for (std::size_t id = 1; id < old.nodes_.size(); ++id) { // parents have lower numbers
    const auto& node = old.nodes_[id];
    if (node.parent != 0 && map[node.parent] == 0) continue;
    const auto token = kinds_.carry_over(node.token, old.kinds_);
    const auto* before = old.edge(node.parent, node.token);
    const auto* now = token ? edge(map[node.parent], *token) : nullptr;
    if (before == nullptr || now == nullptr || old.gaps(*before) != gaps(*now)) continue;
    map[id] = before->late == id ? now->late : now->forward;
  }
  return map;
}

} // namespace knock
