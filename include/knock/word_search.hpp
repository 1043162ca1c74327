// SPDX-License-Identifier: GPL-2.0-or-later
/// WordSearch: which of many words stands in a payload, in one pass however many they are.
///
/// In:      words, compiled once; then payloads of strangers.   Out: the longest word found.
/// Memory:  a node a byte of the words, up to 1 MiB to be fast with few of them; none per search.
/// Threads: immutable once compiled.
/// Source:  A. V. Aho, M. J. Corasick, "Efficient string matching", CACM 18 (6), 1975.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace knock {

class WordSearch {
 public:
  /// Requires: no word is empty, none stands twice.
  explicit WordSearch(std::span<const std::string> words);

  /// The index of the longest word that stands in `bytes`; of two as long, of the one compiled first.
  [[nodiscard]] std::optional<std::uint32_t> longest_in(std::span<const std::byte> bytes) const noexcept;

 private:
  struct Edge {
    std::uint8_t byte;
    std::uint32_t to;
  };
  struct Node {
    std::uint32_t edges = 0; ///< the first of its own, sorted by byte
    std::uint32_t count = 0; ///< of them
    std::uint32_t fallback = 0;
    std::uint32_t best = kNone; ///< longest word that ends here
  };
  static constexpr std::uint32_t kNone = 0xffffffffU;

  void fill_table();
  [[nodiscard]] std::uint32_t next(std::uint32_t node, std::uint8_t byte) const noexcept;
  [[nodiscard]] std::uint32_t child(std::uint32_t node, std::uint8_t byte) const noexcept; // 0: none
  [[nodiscard]] std::uint32_t better(std::uint32_t a, std::uint32_t b) const noexcept;

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::array<std::uint32_t, 256> first_{}; // children of the root
  std::vector<std::uint32_t> lengths_;     // of the words
  std::vector<std::uint32_t> table_;       // of few words: where each byte leads from each node
};

} // namespace knock
