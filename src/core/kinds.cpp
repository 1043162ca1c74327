// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kinds.hpp>

#include <algorithm>
#include <tuple>

#include <knock/result.hpp>

namespace knock {
namespace {

constexpr std::uint32_t kMatched = 1U << 31U;
constexpr std::uint32_t kMatchedPing = 1U << 30U; // beside kMatched
constexpr std::uint32_t kNearMiss = 1U << 30U;    // without it

Token flagged(std::uint8_t flags, std::uint16_t port) {
  return Token{static_cast<std::uint32_t>(flags) << 24U |
               static_cast<std::uint32_t>(token_of(Port{Protocol::tcp, port}))};
}

Token near_miss(Port port) {
  return Token{kNearMiss | static_cast<std::uint32_t>(token_of(port))};
}

Token matched_token(Port port, std::size_t index) {
  return Token{kMatched | (is_ping(port) ? kMatchedPing : 0) | static_cast<std::uint32_t>(index)};
}

bool looks_inside(const PacketKind& kind) {
  return kind.length || !kind.word.empty();
}

/// By port; of a port those without length and word first, then lengths, then words.
bool before(const PacketKind& a, const PacketKind& b) {
  const auto key = [](const PacketKind& kind) {
    return std::tuple(kind.port, kind.flags, !kind.word.empty(), kind.length, std::string_view(kind.word));
  };
  return key(a) < key(b);
}

} // namespace

Kinds::Kinds(std::vector<PacketKind> all) {
  std::erase_if(all, [](const PacketKind& kind) {
    return kind.flags == 0 && !looks_inside(kind) && !is_ping(kind.port);
  });
  std::sort(all.begin(), all.end(), before);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  special_ = std::move(all);

  for (std::uint32_t i = 0; i < special_.size(); ++i) {
    const auto& kind = special_[i];
    if (kind.flags != 0) flagged_.push_back(flagged(kind.flags, kind.port.number));
    if (is_ping(kind.port)) (kind.port.protocol == Protocol::icmp ? pings_ : pings6_) = true;
    if (is_ping(kind.port) && !looks_inside(kind))
      (kind.port.protocol == Protocol::icmp ? plain_ping_ : plain_ping6_) = true;
    if (!looks_inside(kind)) continue;
    if (groups_.empty() || groups_.back().port != kind.port) groups_.push_back({kind.port, i, i, i});
    auto& group = groups_.back();
    group.end = i + 1;
    if (kind.word.empty()) group.first_word = i + 1;
  }
  std::sort(flagged_.begin(), flagged_.end());
  for (auto& group : groups_) {
    std::vector<std::string> words;
    for (auto i = group.first_word; i < group.end; ++i) words.push_back(special_[i].word);
    if (!words.empty()) group.words.emplace(words);
  }
}

std::size_t Kinds::find(const PacketKind& kind) const {
  const auto found = std::lower_bound(special_.begin(), special_.end(), kind, before);
  return found != special_.end() && *found == kind ? static_cast<std::size_t>(found - special_.begin())
                                                   : special_.size();
}

Token Kinds::token_of(const PacketKind& kind) const {
  if (kind.flags != 0) return flagged(kind.flags, kind.port.number);
  if (!looks_inside(kind)) return knock::token_of(kind.port);
  const auto index = find(kind);
  KNOCK_ASSERT(index != special_.size());
  return matched_token(kind.port, index);
}

const Kinds::Group* Kinds::group_of(Port port) const noexcept {
  const auto group = std::lower_bound(groups_.begin(), groups_.end(), port,
                                      [](const Group& one, Port wanted) { return one.port < wanted; });
  return group == groups_.end() || group->port != port ? nullptr : &*group;
}

std::optional<Token> Kinds::matched(Port port, const Packet& packet) const noexcept {
  const auto* group = group_of(port);
  if (group == nullptr) return std::nullopt;
  if (group->words)
    if (const auto word = group->words->longest_in(packet.payload))
      return matched_token(port, group->first_word + *word);
  const auto begin = special_.begin() + static_cast<std::ptrdiff_t>(group->first_length);
  const auto end = special_.begin() + static_cast<std::ptrdiff_t>(group->first_word);
  const auto length =
      std::lower_bound(begin, end, packet.length,
                       [](const PacketKind& kind, std::uint16_t wanted) { return *kind.length < wanted; });
  if (length == end || length->length != packet.length) return std::nullopt;
  return matched_token(port, static_cast<std::size_t>(length - special_.begin()));
}

std::optional<Token> Kinds::token_of(const Packet& packet) const noexcept {
  const Port port{packet.protocol, packet.port};
  if (packet.protocol == Protocol::tcp) {
    const auto flags = static_cast<std::uint8_t>(packet.tcp_flags & kTcpSix);
    if (const auto token = flagged(flags, packet.port);
        !flagged_.empty() && std::binary_search(flagged_.begin(), flagged_.end(), token))
      return token;
    if ((flags & (kTcpSyn | kTcpAck)) == kTcpSyn) return knock::token_of(port);
    if (!flagged_.empty()) return near_miss(port);
    return std::nullopt;
  }
  if (packet.protocol != Protocol::udp && port != echo_request(packet.protocol)) return std::nullopt;
  if (!groups_.empty())
    if (const auto token = matched(port, packet)) return token;
  if (packet.protocol == Protocol::udp) return knock::token_of(port);
  const bool ipv4 = packet.protocol == Protocol::icmp;
  if (ipv4 ? plain_ping_ : plain_ping6_) return knock::token_of(port);
  if (ipv4 ? pings_ : pings6_) return near_miss(port);
  return std::nullopt;
}

std::uint32_t Kinds::copy_bytes() const {
  constexpr std::uint32_t kHeaders = 128; // with extension headers
  const bool looks =
      std::any_of(groups_.begin(), groups_.end(), [](const Group& group) { return group.words.has_value(); });
  return looks ? kCopiedWhole : kHeaders;
}

std::optional<Token> Kinds::carry_over(Token token, const Kinds& other) const {
  if (!is_matched(token)) return token;
  const auto index = static_cast<std::uint32_t>(token) & ~(kMatched | kMatchedPing);
  if (index >= other.special_.size()) return std::nullopt;
  const auto& kind = other.special_[index];
  const auto here = find(kind);
  if (here == special_.size()) return std::nullopt;
  return matched_token(kind.port, here);
}

} // namespace knock
