// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/word_search.hpp>

#include <algorithm>
#include <map>

namespace knock {

WordSearch::WordSearch(std::span<const std::string> words) : nodes_(1) {
  std::vector<std::map<std::uint8_t, std::uint32_t>> children(1);
  for (std::uint32_t word = 0; word < words.size(); ++word) {
    lengths_.push_back(static_cast<std::uint32_t>(words[word].size()));
    std::uint32_t at = 0;
    for (const char c : words[word]) {
      const auto [next, fresh] =
          children[at].try_emplace(static_cast<std::uint8_t>(c), static_cast<std::uint32_t>(nodes_.size()));
      at = next->second;
      if (!fresh) continue;
      nodes_.emplace_back();
      children.emplace_back();
    }
    nodes_[at].best = word;
  }
  std::vector<std::uint32_t> order{0}; // breadth first: a fallback is shorter, so it is done before
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto at = order[i];
    nodes_[at].edges = static_cast<std::uint32_t>(edges_.size());
    nodes_[at].count = static_cast<std::uint32_t>(children[at].size());
    for (const auto& [byte, to] : children[at]) {
      edges_.push_back({byte, to});
      order.push_back(to);
      if (at == 0) first_[byte] = to;
      auto fallback = nodes_[at].fallback;
      while (at != 0 && fallback != 0 && !children[fallback].contains(byte))
        fallback = nodes_[fallback].fallback;
      if (const auto found = children[fallback].find(byte); at != 0 && found != children[fallback].end())
        nodes_[to].fallback = found->second;
      nodes_[to].best = better(nodes_[to].best, nodes_[nodes_[to].fallback].best);
    }
  }
  fill_table();
}

/// One look a byte, however the bytes are chosen, as long as the table fits a cache.
void WordSearch::fill_table() {
  constexpr std::size_t kMostNodes = 1'024; // 1 MiB
  if (nodes_.size() > kMostNodes) return;
  table_.resize(nodes_.size() * 256);
  for (std::uint32_t node = 0; node < nodes_.size(); ++node)
    for (unsigned byte = 0; byte < 256; ++byte)
      table_[node * 256 + byte] = next(node, static_cast<std::uint8_t>(byte));
}

std::uint32_t WordSearch::next(std::uint32_t node, std::uint8_t byte) const noexcept {
  auto to = child(node, byte);
  while (to == 0 && node != 0) {
    node = nodes_[node].fallback;
    to = child(node, byte);
  }
  return to;
}

std::uint32_t WordSearch::better(std::uint32_t a, std::uint32_t b) const noexcept {
  if (a == kNone || b == kNone) return a == kNone ? b : a;
  return lengths_[a] > lengths_[b] || (lengths_[a] == lengths_[b] && a < b) ? a : b;
}

std::uint32_t WordSearch::child(std::uint32_t node, std::uint8_t byte) const noexcept {
  if (node == 0) return first_[byte];
  const auto* begin = edges_.data() + nodes_[node].edges;
  const auto* end = begin + nodes_[node].count;
  const auto* found =
      std::lower_bound(begin, end, byte, [](const Edge& edge, std::uint8_t at) { return edge.byte < at; });
  return found != end && found->byte == byte ? found->to : 0;
}

std::optional<std::uint32_t> WordSearch::longest_in(std::span<const std::byte> bytes) const noexcept {
  std::uint32_t at = 0;
  std::uint32_t best = kNone;
  for (const auto byte : bytes) {
    const auto value = std::to_integer<std::uint8_t>(byte);
    at = table_.empty() ? next(at, value) : table_[at * 256 + value];
    best = better(best, nodes_[at].best);
  }
  if (best == kNone) return std::nullopt;
  return best;
}

} // namespace knock
