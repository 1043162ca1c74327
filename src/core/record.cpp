// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/record.hpp>

#include <algorithm>
#include <cstring>
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

void put_head(RecordKind kind, std::size_t bytes, std::vector<std::byte>& datagram) {
  put(kind, datagram);
  put(static_cast<std::uint16_t>(bytes - kRecordHead), datagram);
}

void put(const Address& address, std::vector<std::byte>& datagram) {
  put(address.family, datagram);
  put(address.octets, datagram);
}

/// Requires: `bytes` holds it.
template<class Value>
void take(Bytes& bytes, Value& value) {
  static_assert(std::has_unique_object_representations_v<Value>);
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes = bytes.subspan(sizeof value);
}

bool take_address(Bytes& bytes, Address& address) {
  take(bytes, address.family);
  take(bytes, address.octets);
  const auto& [family, octets] = address;
  if (family != Family::ipv4 && family != Family::ipv6) return false;
  return family == Family::ipv6 ||
         std::all_of(octets.begin() + 4, octets.end(), [](auto octet) { return octet == 0; });
}

bool parse_completed(RecordKind kind, Bytes bytes, Records& out) {
  if (bytes.size() != kRecordBytes - kRecordHead) return false;
  Record record{.kind = kind, .door = {}, .source = {}, .sequence = 0};
  take(bytes, record.door);
  if (!take_address(bytes, record.source)) return false;
  take(bytes, record.sequence);
  if (kind == RecordKind::scan && (record.door != DoorId{} || record.sequence != 0)) return false;
  out.completed.push_back(record);
  return true;
}

bool parse_kn1(Bytes bytes, Records& out) {
  constexpr auto kHead = kKn1RecordHead - kRecordHead;
  if (bytes.size() < kHead || !kn1::is_size(bytes.size() - kHead + kn1::kOverhead)) return false;
  auto& record = out.kn1.emplace_back();
  take(bytes, record.server);
  take(bytes, record.head.kid.bytes);
  take(bytes, record.head.e);
  take(bytes, record.head.ts);
  record.plain.size = bytes.size() - sizeof(Family) - record.source.octets.size();
  const bool sound = take_address(bytes, record.source);
  if (sound) std::memcpy(record.plain.bytes.data(), bytes.data(), bytes.size());
  return sound;
}

bool parse_all(Bytes datagram, Records& out) {
  std::size_t count = 0;
  for (; !datagram.empty(); ++count) {
    if (datagram.size() < kRecordHead || count == kMaxRecords) return false;
    RecordKind kind{};
    std::uint16_t size = 0;
    take(datagram, kind);
    take(datagram, size);
    if (datagram.size() < size) return false;
    const auto bytes = datagram.first(size);
    datagram = datagram.subspan(size);
    const bool known = kind >= RecordKind::knock && kind <= RecordKind::kn1;
    if (!known || !(kind == RecordKind::kn1 ? parse_kn1(bytes, out) : parse_completed(kind, bytes, out)))
      return false;
  }
  return count != 0;
}

} // namespace

void encode(const Record& record, std::vector<std::byte>& datagram) {
  put_head(record.kind, kRecordBytes, datagram);
  put(record.door, datagram);
  put(record.source, datagram);
  put(record.sequence, datagram);
}

void encode(const Kn1Record& record, std::vector<std::byte>& datagram) {
  put_head(RecordKind::kn1, kKn1RecordHead + record.plain.size, datagram);
  put(record.server, datagram);
  put(record.head.kid.bytes, datagram);
  put(record.head.e, datagram);
  put(record.head.ts, datagram);
  put(record.source, datagram);
  const auto plain = std::as_bytes(std::span(record.plain.bytes).first(record.plain.size));
  datagram.insert(datagram.end(), plain.begin(), plain.end());
}

bool parse_records(Bytes datagram, Records& out) {
  const auto completed = out.completed.size(), kn1 = out.kn1.size();
  if (datagram.size() <= kMaxRecordBytes && parse_all(datagram, out)) return true;
  out.completed.resize(completed);
  out.kn1.resize(kn1);
  return false;
}

} // namespace knock
