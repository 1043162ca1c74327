// SPDX-License-Identifier: GPL-2.0-or-later
/// Policy: the sequences of all doors in one automaton.
///
/// In:      sequences, compiled once.   Out: for a node and a token, where that leads.
/// Memory:  flat arrays, 16 bytes a node and an edge: 10,000 doors fit a cache.
/// Threads: immutable once compiled.
///
/// A trie: a node is a path of tokens from the root (node 0, which no attempt stands at). With `reorder`, the
/// neighbours a b behind node P may come swapped: b leads out to the node of path P b, and a back to P a b if
/// it comes in time; later a counts as the step behind P, as if b had never been (P the root: begun anew).
/// With order "any" a node is the set of tokens that came, beside the paths of other doors.
/// With pauses each step has a gap rule, and no two steps may come swapped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include <knock/kinds.hpp>
#include <knock/limits.hpp>
#include <knock/sequence.hpp>
#include <knock/ticks.hpp>

namespace knock {

using NodeId = std::uint16_t; // 0: the root

/// One path. Carries the greatest limits of the doors below it; a door's own are in its Ending.
struct Node {
  Token token{}; ///< last of the path
  NodeId parent = 0;
  std::uint16_t ending = 0; ///< 1 + index of the sequence that ends here, 0: none
  Ticks within = 0;
  std::uint8_t strays = 0;
  bool leaf = false;  ///< nothing leads on: a reached leaf only waits for late retransmits
  bool own = false;   ///< on a door's own path, not only a swapped one
  bool pings = false; ///< it leads on by a ping; derived from the edges, as the next
  bool flags = false;
  bool inside = false; ///< by a length or a word
};

/// When a packet may follow the one before it.
struct Gaps {
  Ticks reorder = 0; ///< at most, for a swap back
  Ticks least = 0;   ///< for an own step
  Ticks most = kTickMask;
  auto operator<=>(const Gaps&) const = default;
};

/// Where `token` leads from `from`. Several may apply: own step, then swap back, then swap out.
struct Edge {
  Token token{};
  NodeId from = 0;
  NodeId forward = 0;     ///< path of `from` and token; 0: none
  NodeId back = 0;        ///< swap back, if the gap since the last step is at most `reorder`; 0: none
  NodeId late = 0;        ///< swap back when it came later; 0: none
  std::uint16_t gaps = 0; ///< index of its rule; 0: any gap
  bool out = false;       ///< `forward` is a swap out, not an own step
  bool used = false;
};

/// What the CAS that reaches a door's node is tested by.
struct Ending {
  DoorId door{};
  Ticks within = 0;
  std::uint8_t strays = 0;
  bool closes = false;
};

static_assert(sizeof(Node) <= 16 && sizeof(Edge) == 16);

class Policy {
 public:
  Policy() : nodes_(1), edges_(1), gaps_(1) {}

  /// Errors: the same sequence twice; the same steps under another rhythm; more than kMaxNodes nodes; more than kMaxWords
  /// kinds of steps with flags, a length or a word.
  static tl::expected<Policy, Clash> compile(std::span<const Sequence> sequences, Millis cooloff);

  [[nodiscard]] const Edge* edge(NodeId from, Token token) const {
    for (std::size_t at = slot(from, token);; at = (at + 1) & (edges_.size() - 1)) {
      const Edge& found = edges_[at];
      if (!found.used) return nullptr;
      if (found.from == from && found.token == token) return &found;
    }
  }
  [[nodiscard]] const Node& node(NodeId id) const { return nodes_[id]; }
  [[nodiscard]] const Gaps& gaps(const Edge& edge) const { return gaps_[edge.gaps]; }
  [[nodiscard]] const Kinds& kinds() const { return kinds_; }
  [[nodiscard]] const Ending& ending(const Node& node) const { return endings_[node.ending - 1U]; }
  [[nodiscard]] const Ending& sequence(std::uint16_t index) const { return endings_[index]; }
  /// Whether `token` is a step on the way to `id`, the last one included.
  [[nodiscard]] bool on_path(NodeId id, Token token) const {
    for (; id != 0; id = nodes_[id].parent)
      if (nodes_[id].token == token) return true;
    return false;
  }
  /// Nodes one step deep have the lowest numbers.
  [[nodiscard]] bool is_first_step(NodeId id) const { return id <= first_steps_; }
  /// How many steps lead there.
  [[nodiscard]] unsigned depth(NodeId id) const {
    unsigned steps = 0;
    for (; id != 0; id = nodes_[id].parent) ++steps;
    return steps;
  }
  /// Whether `token`, which is no step there, is a stray for who stands at `node`: pings and odd flags are one for who
  /// could guess by them alone.
  [[nodiscard]] static bool counts(const Node& node, Token token) {
    if (node.leaf) return false;
    const auto sort = sort_of(token);
    return sort == Sort::plain || (sort == Sort::ping ? node.pings : node.flags);
  }
  [[nodiscard]] Ticks cooloff() const { return cooloff_; }
  [[nodiscard]] std::size_t node_count() const { return nodes_.size() - 1; }

  /// As flat bytes without an address in them: what the keeper hands to the engine.
  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Returns nothing for bytes that are no policy: every index in it is checked.
  static std::optional<Policy> decode(std::span<const std::byte> image);

  /// For each node of `old` the node of the same path here, 0 when there is none.
  [[nodiscard]] std::vector<NodeId> carry_over(const Policy& old) const;

 private:
  friend class PolicyCompiler;

  void mark_nodes(); ///< what they lead on by

  [[nodiscard]] std::size_t slot(NodeId from, Token token) const {
    const auto key = static_cast<std::uint64_t>(from) << 32U | static_cast<std::uint32_t>(token);
    return static_cast<std::size_t>(key * 0x9e3779b97f4a7c15ULL >> 40U) & (edges_.size() - 1);
  }

  std::vector<Node> nodes_;
  std::vector<Edge> edges_; // open addressing, at most half full
  std::vector<Ending> endings_;
  std::vector<Gaps> gaps_;
  Kinds kinds_;
  NodeId first_steps_ = 0;
  Ticks cooloff_ = 0;
};

} // namespace knock
