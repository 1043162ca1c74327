// SPDX-License-Identifier: GPL-2.0-or-later
// A policy as flat bytes: what the keeper compiles and the engine follows.
#include <algorithm>
#include <bit>

#include <knock/policy.hpp>

#include "core/flat.hpp"

namespace knock {
namespace {

constexpr std::uint32_t kPolicyMagic = 0x32504e4bU; // "KNP2"; both ends are the same program
constexpr std::uint8_t kLeaf = 1, kOwn = 2;         // of a node
constexpr std::uint8_t kOut = 1, kUsed = 2;         // of an edge

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
  edge.gaps = in.take<std::uint16_t>();
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
  ending.closes = in.take<std::uint8_t>() != 0;
  return ending;
}

Gaps take_gaps(Taker& in) {
  Gaps gaps;
  gaps.reorder = in.take<Ticks>();
  gaps.least = in.take<Ticks>();
  gaps.most = in.take<Ticks>();
  return gaps;
}

constexpr std::uint32_t kNoLength = 0xffff'ffffU; // of a kind

void put_kind(Writer& out, const PacketKind& kind) {
  out.put(kind.port.protocol, kind.port.number, kind.flags,
          kind.length ? std::uint32_t{*kind.length} : kNoLength,
          static_cast<std::uint32_t>(kind.word.size()));
  for (const char c : kind.word) out.put(c);
}

/// Nothing when it is none, or cut short.
std::optional<PacketKind> take_kind(Taker& in) {
  PacketKind kind;
  const auto protocol = in.take<std::uint8_t>();
  kind.port.protocol = static_cast<Protocol>(protocol);
  kind.port.number = in.take<std::uint16_t>();
  kind.flags = in.take<std::uint8_t>();
  const auto length = in.take<std::uint32_t>();
  const auto size = in.take<std::uint32_t>();
  const bool tcp = kind.port.protocol == Protocol::tcp;
  const bool ping = is_ping(kind.port) && kind.port == echo_request(kind.port.protocol);
  const bool known = tcp || kind.port.protocol == Protocol::udp || ping;
  if (length != kNoLength) kind.length = static_cast<std::uint16_t>(length);
  if (!known || (length != kNoLength && length > 0xffff) || size > kWord.most || in.bytes.size() < size ||
      (kind.flags != 0) != tcp || kind.flags > kTcpSix || (tcp && (kind.length || size != 0)) ||
      (kind.length && size != 0))
    return std::nullopt;
  for (std::uint32_t i = 0; i < size; ++i) kind.word += in.take<char>();
  return kind;
}

/// The kinds as they were given; nothing when one of them is none, or they are not in their order.
std::optional<Kinds> take_kinds(Taker& in, std::uint32_t count) {
  std::vector<PacketKind> all;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto kind = take_kind(in);
    if (!kind || !in.whole) return std::nullopt;
    all.push_back(std::move(*kind));
  }
  Kinds kinds(all);
  if (!std::equal(all.begin(), all.end(), kinds.special().begin(), kinds.special().end()))
    return std::nullopt;
  return kinds;
}

constexpr std::uint8_t flags(bool a, std::uint8_t if_a, bool b, std::uint8_t if_b) {
  return static_cast<std::uint8_t>((a ? if_a : 0) | (b ? if_b : 0));
}

} // namespace

std::vector<std::byte> Policy::encode() const {
  Writer out;
  out.put(kPolicyMagic, static_cast<std::uint32_t>(nodes_.size()), static_cast<std::uint32_t>(edges_.size()),
          static_cast<std::uint32_t>(endings_.size()), static_cast<std::uint32_t>(gaps_.size()),
          static_cast<std::uint32_t>(kinds_.special().size()), first_steps_, cooloff_);
  for (const auto& node : nodes_)
    out.put(node.token, node.parent, node.ending, node.within, node.strays,
            flags(node.leaf, kLeaf, node.own, kOwn));
  for (const auto& edge : edges_)
    out.put(edge.token, edge.from, edge.forward, edge.back, edge.late, edge.gaps,
            flags(edge.out, kOut, edge.used, kUsed));
  for (const auto& ending : endings_)
    out.put(ending.door, ending.within, ending.strays, static_cast<std::uint8_t>(ending.closes));
  for (const auto& gaps : gaps_) out.put(gaps.reorder, gaps.least, gaps.most);
  for (const auto& kind : kinds_.special()) put_kind(out, kind);
  return std::move(out.bytes);
}

std::optional<Policy> Policy::decode(std::span<const std::byte> image) {
  Taker in{image};
  const bool ours = in.take<std::uint32_t>() == kPolicyMagic;
  const auto nodes = in.take<std::uint32_t>();
  const auto edges = in.take<std::uint32_t>();
  const auto endings = in.take<std::uint32_t>();
  const auto gaps = in.take<std::uint32_t>();
  const auto kinds = in.take<std::uint32_t>();
  if (!ours || gaps == 0 || gaps > 0x10000 || kinds > kMaxWords || nodes == 0 || nodes > kMaxNodes + 1 ||
      endings > kMaxNodes || !std::has_single_bit(edges) || edges > kMaxEdges)
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
    sound = sound && std::max({edge.from, edge.forward, edge.back, edge.late}) < nodes && edge.gaps < gaps;
    used += edge.used ? 1U : 0U;
  }
  for (std::size_t i = 0; i < endings && in.whole; ++i) policy.endings_.push_back(take_ending(in));
  policy.gaps_.clear();
  for (std::size_t i = 0; i < gaps && in.whole; ++i) policy.gaps_.push_back(take_gaps(in));
  auto special = take_kinds(in, kinds);
  // A free edge is what ends a look that finds nothing.
  if (!sound || !special || !in.whole || !in.bytes.empty() || used >= edges) return std::nullopt;
  policy.kinds_ = std::move(*special);
  policy.mark_nodes();
  return policy;
}

} // namespace knock
