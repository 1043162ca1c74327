// SPDX-License-Identifier: GPL-2.0-or-later
/// Kinds: which packets the doors' steps tell apart, each of them a Token.
///
/// In:      the kinds of all steps, compiled once; then packets of strangers.   Out: the token of each.
/// Memory:  what the words take; none per packet.
/// Threads: immutable once compiled.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <knock/packet.hpp>
#include <knock/step.hpp>
#include <knock/word_search.hpp>

namespace knock {

/// What a packet and a step are compared by.
///   plain       0 . flags (6, TCP; 0: SYN without ACK) . protocol (8) . port (16)
///   near miss   01 . 0 . protocol . port: a ping or TCP flags that no step has; it leads nowhere
///   matched     1 . ping . index of a kind with a word or a length; means something in one Kinds alone
enum class Token : std::uint32_t {};

constexpr Token token_of(Port port) {
  return Token{static_cast<std::uint32_t>(port.protocol) << 16U | port.number};
}

constexpr bool is_matched(Token token) {
  return static_cast<std::uint32_t>(token) >> 31U != 0;
}

/// Packets that are no plain SYN or datagram: sweeping them does not look like a port scan.
enum class Sort : std::uint8_t { plain, ping, flags };
constexpr Sort sort_of(Token token) {
  const auto bits = static_cast<std::uint32_t>(token);
  if (is_matched(token)) return (bits >> 30U & 1U) != 0 ? Sort::ping : Sort::plain;
  const auto protocol = static_cast<Protocol>(bits >> 16U & 0xffU);
  if (is_ping({protocol, 0})) return Sort::ping;
  return protocol == Protocol::tcp && bits >> 24U != 0 ? Sort::flags : Sort::plain;
}

inline constexpr std::uint32_t kCopiedWhole =
    1'400; // bytes, where what is behind the headers counts; of a frame of 1,500

class Kinds {
 public:
  Kinds() = default;
  /// Repeats are allowed.
  explicit Kinds(std::vector<PacketKind> all);

  /// Requires: `kind` is one of those given.
  [[nodiscard]] Token token_of(const PacketKind& kind) const;
  /// Nothing for what is neither a step nor a stray: TCP other than SYN without ACK, unless a step names flags; ICMP
  /// other than echo requests of a protocol that some step has.
  [[nodiscard]] std::optional<Token> token_of(const Packet& packet) const noexcept;
  /// Whether `packet` has the port of a kind with a length or a word, and none of these: `token` says its port alone.
  [[nodiscard]] bool misses(const Packet& packet, Token token) const noexcept {
    return !groups_.empty() && !is_matched(token) && group_of({packet.protocol, packet.port}) != nullptr;
  }
  /// The token here of what `token` is in `other`; nothing when no step here has it.
  [[nodiscard]] std::optional<Token> carry_over(Token token, const Kinds& other) const;

  /// How much of a packet has to be copied for this, from its network header on.
  [[nodiscard]] std::uint32_t copy_bytes() const;
  /// Sorted, each once: those with flags, a word or a length, and plain pings.
  [[nodiscard]] std::span<const PacketKind> special() const { return special_; }

 private:
  /// All kinds of one port that look at the payload.
  struct Group {
    Port port;
    std::uint32_t first_length = 0; ///< indices into special_; words follow the lengths
    std::uint32_t first_word = 0;
    std::uint32_t end = 0;
    std::optional<WordSearch> words{};
  };

  [[nodiscard]] const Group* group_of(Port port) const noexcept;
  [[nodiscard]] std::optional<Token> matched(Port port, const Packet& packet) const noexcept;
  /// Its index, or the count of all.
  [[nodiscard]] std::size_t find(const PacketKind& kind) const;

  std::vector<PacketKind> special_;
  std::vector<Group> groups_;                     // sorted by port
  std::vector<Token> flagged_;                    // sorted
  bool plain_ping_ = false, plain_ping6_ = false; // whether some step is any echo request
  bool pings_ = false, pings6_ = false;           // whether some step is one
};

} // namespace knock
