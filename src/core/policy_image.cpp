// SPDX-License-Identifier: GPL-2.0-or-later
// A policy as flat bytes: what the keeper compiles and the engine follows.
#include <algorithm>
#include <bit>
#include <cstring>

#include <knock/policy.hpp>

namespace knock {
namespace {

constexpr std::uint32_t kMagic = 0x31504e4bU; // "KNP1"; both ends are the same program
constexpr std::uint8_t kLeaf = 1, kOwn = 2;   // of a node
constexpr std::uint8_t kOut = 1, kUsed = 2;   // of an edge

struct Writer {
  std::vector<std::byte> bytes;
  template<class... T>
  void put(T... values) {
    const auto one = [&](auto value) {
      const auto at = bytes.size();
      bytes.resize(at + sizeof value);
      std::memcpy(bytes.data() + at, &value, sizeof value);
    };
    (one(values), ...);
  }
};

struct Taker {
  std::span<const std::byte> bytes;
  bool whole = true;
  template<class T>
  T take() {
    T value{};
    whole = whole && bytes.size() >= sizeof value;
    if (!whole) return value;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes = bytes.subspan(sizeof value);
    return value;
  }
};

Node take_node(Taker& in) {
  Node node;
  node.token = in.take<Token>();
  node.parent = in.take<NodeId>();
  node.ending = in.take<std::uint16_t>();
  node.within = in.take<Ticks>();
  node.strays = in.take<std::uint8_t>();
  const auto bits = in.take<std::uint8_t>();
  node.leaf = (bits & kLeaf) != 0;
  node.own = (bits & kOwn) != 0;
  return node;
}

Edge take_edge(Taker& in) {
  Edge edge;
  edge.token = in.take<Token>();
  edge.from = in.take<NodeId>();
  edge.forward = in.take<NodeId>();
  edge.back = in.take<NodeId>();
  edge.late = in.take<NodeId>();
  edge.reorder = in.take<Ticks>();
  const auto bits = in.take<std::uint8_t>();
  edge.out = (bits & kOut) != 0;
  edge.used = (bits & kUsed) != 0;
  return edge;
}

Ending take_ending(Taker& in) {
  Ending ending;
  ending.door = in.take<DoorId>();
  ending.within = in.take<Ticks>();
  ending.strays = in.take<std::uint8_t>();
  return ending;
}

constexpr std::uint8_t flags(bool a, std::uint8_t if_a, bool b, std::uint8_t if_b) {
  return static_cast<std::uint8_t>((a ? if_a : 0) | (b ? if_b : 0));
}

} // namespace

std::vector<std::byte> Policy::encode() const {
  Writer out;
  out.put(kMagic, static_cast<std::uint32_t>(nodes_.size()), static_cast<std::uint32_t>(edges_.size()),
          static_cast<std::uint32_t>(endings_.size()), first_steps_, cooloff_);
  for (const auto& node : nodes_)
    out.put(node.token, node.parent, node.ending, node.within, node.strays,
            flags(node.leaf, kLeaf, node.own, kOwn));
  for (const auto& edge : edges_)
    out.put(edge.token, edge.from, edge.forward, edge.back, edge.late, edge.reorder,
            flags(edge.out, kOut, edge.used, kUsed));
  for (const auto& ending : endings_) out.put(ending.door, ending.within, ending.strays);
  return std::move(out.bytes);
}

std::optional<Policy> Policy::decode(std::span<const std::byte> image) {
  Taker in{image};
  const bool ours = in.take<std::uint32_t>() == kMagic;
  const auto nodes = in.take<std::uint32_t>();
  const auto edges = in.take<std::uint32_t>();
  const auto endings = in.take<std::uint32_t>();
  if (!ours || nodes == 0 || nodes > kMaxNodes + 1 || endings > kMaxNodes || !std::has_single_bit(edges) ||
      edges > 4 * (kMaxNodes + 1))
    return std::nullopt;
  Policy policy;
  policy.first_steps_ = in.take<NodeId>();
  policy.cooloff_ = in.take<Ticks>();
  bool sound = policy.first_steps_ < nodes && policy.cooloff_ <= kTickMask;
  policy.nodes_.clear();
  for (std::size_t id = 0; id < nodes && in.whole; ++id) {
    const auto& node = policy.nodes_.emplace_back(take_node(in));
    sound = sound && (id == 0 ? node.parent == 0 : node.parent < id) && node.ending <= endings &&
            node.within <= kTickMask && node.strays <= kStrays.most;
  }
  policy.edges_.clear();
  std::size_t used = 0;
  for (std::size_t at = 0; at < edges && in.whole; ++at) {
    const auto& edge = policy.edges_.emplace_back(take_edge(in));
    sound = sound && std::max({edge.from, edge.forward, edge.back, edge.late}) < nodes;
    used += edge.used ? 1U : 0U;
  }
  for (std::size_t i = 0; i < endings && in.whole; ++i) policy.endings_.push_back(take_ending(in));
  // A free edge is what ends a look that finds nothing.
  if (!sound || !in.whole || !in.bytes.empty() || used >= edges) return std::nullopt;
  return policy;
}

} // namespace knock
