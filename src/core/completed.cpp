// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completed.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

namespace knock {
namespace {

using Bytes = std::span<const std::byte>;

template<class Value>
void put(const Value& value, std::vector<std::byte>& datagram) {
  static_assert(std::has_unique_object_representations_v<Value>);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  datagram.insert(datagram.end(), bytes.begin(), bytes.end());
}

/// Requires: `bytes` holds it.
template<class Value>
void take(Bytes& bytes, Value& value) {
  static_assert(std::has_unique_object_representations_v<Value>);
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes = bytes.subspan(sizeof value);
}

/// Behind the kind.
std::optional<Completed> parse_completed(Bytes bytes) {
  Completed completed;
  take(bytes, completed.door);
  take(bytes, completed.source.family);
  take(bytes, completed.source.octets);
  take(bytes, completed.sequence);
  const auto& [family, octets] = completed.source;
  if (family != Family::ipv4 && family != Family::ipv6) return std::nullopt;
  const bool ipv4 = family == Family::ipv4;
  if (ipv4 && std::any_of(octets.begin() + 4, octets.end(), [](auto octet) { return octet != 0; }))
    return std::nullopt;
  return completed;
}

} // namespace

void encode(const Completed& completed, std::vector<std::byte>& datagram) {
  put(RecordKind::completed, datagram);
  put(completed.door, datagram);
  put(completed.source.family, datagram);
  put(completed.source.octets, datagram);
  put(completed.sequence, datagram);
}

bool parse_records(Bytes datagram, std::vector<Completed>& out) {
  const auto before = out.size();
  const auto refused = [&] {
    out.resize(before);
    return false;
  };
  std::size_t count = 0;
  for (; !datagram.empty(); ++count) {
    RecordKind kind{};
    auto rest = datagram;
    take(rest, kind);
    // Each kind has one length. One that we do not know may have any, so nothing behind it can be read.
    if (kind != RecordKind::completed || datagram.size() < kCompletedBytes || count == kMaxRecords)
      return refused();
    const auto completed = parse_completed(rest);
    if (!completed) return refused();
    out.push_back(*completed);
    datagram = datagram.subspan(kCompletedBytes);
  }
  return count != 0;
}

} // namespace knock
