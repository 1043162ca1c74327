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
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <knock/door_id.hpp>
#include <knock/limits.hpp>
#include <knock/packet.hpp>
#include <knock/result.hpp>
#include <knock/step.hpp>
#include <knock/ticks.hpp>

namespace knock {

/// What a step is compared by: protocol and port; the high byte is free for flags and payload classes.
enum class Token : std::uint32_t {};

constexpr Token token_of(Port port) {
  return Token{static_cast<std::uint32_t>(port.protocol) << 16U | port.number};
}
constexpr Token token_of(const Step& step) {
  return token_of(step.port);
}

/// TCP: only SYN without ACK is a step or a stray. ICMP: no step in this version.
constexpr std::optional<Token> token_of(const Packet& packet) {
  if (packet.protocol == Protocol::tcp && (packet.tcp_flags & (kTcpSyn | kTcpAck)) != kTcpSyn) return {};
  if (packet.protocol != Protocol::tcp && packet.protocol != Protocol::udp) return {};
  return token_of(Port{packet.protocol, packet.port});
}

/// One door's way in.
struct Sequence {
  DoorId door{};
  std::string name; ///< of the door, for errors
  std::vector<Step> steps;
  Millis within{10'000};
  std::uint32_t strays = 12;
  Millis reorder{50}; ///< 0: neighbours never swap
};

using NodeId = std::uint16_t; // 0: the root

/// One path. Carries the greatest limits of the doors below it; a door's own are in its Ending.
struct Node {
  Token token{}; ///< last of the path
  NodeId parent = 0;
  std::uint16_t ending = 0; ///< 1 + index of the sequence that ends here, 0: none
  Ticks within = 0;
  std::uint8_t strays = 0;
  bool leaf = false; ///< nothing leads on: a reached leaf only waits for late retransmits
  bool own = false;  ///< on a door's own path, not only a swapped one
};

/// Where `token` leads from `from`. Several may apply: own step, then swap back, then swap out.
struct Edge {
  Token token{};
  NodeId from = 0;
  NodeId forward = 0; ///< path of `from` and token; 0: none
  NodeId back = 0;    ///< swap back, if the gap since the last step is at most `reorder`; 0: none
  NodeId late = 0;    ///< swap back when it came later; 0: none
  Ticks reorder = 0;
  bool out = false; ///< `forward` is a swap out, not an own step
  bool used = false;
};

/// What the CAS that reaches a door's node is tested by.
struct Ending {
  DoorId door{};
  Ticks within = 0;
  std::uint8_t strays = 0;
};

static_assert(sizeof(Node) <= 16 && sizeof(Edge) == 16);

/// How many nodes a sequence takes at most: with swaps, each pair of neighbours has a path beside.
constexpr std::size_t most_nodes(std::size_t steps, bool swaps) {
  return swaps && steps > 0 ? 2 * steps - 1 : steps;
}

class Policy {
 public:
  Policy() : nodes_(1), edges_(1) {}

  /// Errors: the same sequence twice (both doors named); more than kMaxNodes nodes.
  static Result<Policy> compile(std::span<const Sequence> sequences, Millis cooloff);

  [[nodiscard]] const Edge* edge(NodeId from, Token token) const {
    for (std::size_t at = slot(from, token);; at = (at + 1) & (edges_.size() - 1)) {
      const Edge& found = edges_[at];
      if (!found.used) return nullptr;
      if (found.from == from && found.token == token) return &found;
    }
  }
  [[nodiscard]] const Node& node(NodeId id) const { return nodes_[id]; }
  [[nodiscard]] const Ending& ending(const Node& node) const { return endings_[node.ending - 1U]; }
  [[nodiscard]] DoorId door_of(std::uint16_t sequence) const { return endings_[sequence].door; }
  /// Whether `token` is a step on the way to `id`, the last one included.
  [[nodiscard]] bool on_path(NodeId id, Token token) const {
    for (; id != 0; id = nodes_[id].parent)
      if (nodes_[id].token == token) return true;
    return false;
  }
  /// Nodes one step deep have the lowest numbers.
  [[nodiscard]] bool is_first_step(NodeId id) const { return id <= first_steps_; }
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

  [[nodiscard]] std::size_t slot(NodeId from, Token token) const {
    const auto key = static_cast<std::uint64_t>(from) << 32U | static_cast<std::uint32_t>(token);
    return static_cast<std::size_t>(key * 0x9e3779b97f4a7c15ULL >> 40U) & (edges_.size() - 1);
  }

  std::vector<Node> nodes_;
  std::vector<Edge> edges_; // open addressing, at most half full
  std::vector<Ending> endings_;
  NodeId first_steps_ = 0;
  Ticks cooloff_ = 0;
};

} // namespace knock
