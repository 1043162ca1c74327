// SPDX-License-Identifier: GPL-2.0-or-later
#include "raw_packet.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace raw {
namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kIcmp = IPPROTO_ICMP;
constexpr std::uint8_t kIcmp6 = IPPROTO_ICMPV6;

void put16(Bytes& bytes, std::size_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8U));
  bytes.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, value >> 16U);
  put16(bytes, value & 0xffffU);
}
void put(Bytes& bytes, const Address& address) {
  bytes.insert(bytes.end(), address.bytes.begin(),
               address.bytes.begin() + static_cast<std::ptrdiff_t>(address.size()));
}
std::uint16_t get16(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8U | bytes[at + 1]);
}

std::uint16_t checksum(Bytes bytes) {
  if (bytes.size() % 2 != 0) bytes.push_back(0);
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) sum += get16(bytes, at);
  while (sum > 0xffffU) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

std::size_t checksum_at(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
}

/// TCP, UDP or an echo request whose id is `from`; the checksum is 0.
Bytes transport(const Target& target, std::uint16_t from, const Shape& shape, int family) {
  constexpr std::array<std::uint8_t, 20> kOptions{2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 1,
                                                  2, 3, 0, 0,    0, 0, 1, 3,  3, 7};
  Bytes bytes;
  if (target.protocol == IPPROTO_TCP) {
    put16(bytes, from);
    put16(bytes, target.port);
    put32(bytes, shape.sequence);
    put32(bytes, (shape.flags & 0x10U) != 0 ? 99 : 0);
    bytes.push_back(shape.options ? 0xa0 : 0x50);
    bytes.push_back(shape.flags);
    put16(bytes, shape.window);
    put32(bytes, 0);
    if (shape.options) bytes.insert(bytes.end(), kOptions.begin(), kOptions.end());
  } else if (target.protocol == IPPROTO_UDP) {
    put16(bytes, from);
    put16(bytes, target.port);
    put16(bytes, 8 + shape.payload);
    put16(bytes, 0);
  } else {
    put16(bytes, family == AF_INET ? 0x0800 : 0x8000);
    put16(bytes, 0);
    put16(bytes, from);
    put16(bytes, 1);
  }
  bytes.insert(bytes.end(), shape.payload, 'x');
  return bytes;
}

Bytes packet(const Address& source, const Address& target_address, const Target& target, std::uint16_t from,
             const Shape& shape) {
  const bool four = source.family == AF_INET;
  auto inner = transport(target, from, shape, source.family);
  const auto protocol = !four && target.protocol == IPPROTO_ICMP ? kIcmp6 : target.protocol;
  Bytes pseudo;
  if (!four || protocol != IPPROTO_ICMP) {
    put(pseudo, source);
    put(pseudo, target_address);
    put32(pseudo, static_cast<std::uint32_t>(inner.size()));
    put32(pseudo, protocol);
  }
  pseudo.insert(pseudo.end(), inner.begin(), inner.end());
  auto sum = checksum(std::move(pseudo));
  if (sum == 0 && protocol == IPPROTO_UDP) sum = 0xffff; // 0 means none, which IPv6 throws away
  inner[checksum_at(target.protocol)] = static_cast<std::uint8_t>(sum >> 8U);
  inner[checksum_at(target.protocol) + 1] = static_cast<std::uint8_t>(sum);

  Bytes bytes;
  if (four) {
    put16(bytes, 0x4500U | shape.tos);
    put16(bytes, 20 + inner.size());
    put16(bytes, 0x1234);
    put16(bytes, shape.fragment);
    put16(bytes, static_cast<std::size_t>(shape.ttl << 8U | protocol));
    put16(bytes, 0); // the kernel's
  } else {
    put32(bytes, 6U << 28U | static_cast<std::uint32_t>(shape.tos) << 20U);
    put16(bytes, inner.size());
    put16(bytes, static_cast<std::size_t>(protocol << 8U | shape.ttl));
  }
  put(bytes, source);
  put(bytes, target_address);
  bytes.insert(bytes.end(), inner.begin(), inner.end());
  return bytes;
}

void mask(Bytes& bytes, std::size_t at, std::size_t size) {
  for (; size > 0 && at < bytes.size(); ++at, --size) bytes[at] = 0xee;
}

/// Ports and checksum of a packet of which `at` is the transport's first byte.
void mask_transport(Bytes& bytes, std::size_t at, std::uint8_t protocol) {
  if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) mask(bytes, at, 4);
  mask(bytes, at + checksum_at(protocol), 2);
}

/// Masks the number that the kernel draws, id or flow label. Out: whether it drew one.
bool mask_header(Bytes& bytes, int family) {
  const bool four = family == AF_INET;
  const bool drawn = four ? get16(bytes, 4) != 0 : (bytes[1] & 0xfU) != 0 || get16(bytes, 2) != 0;
  if (!four) bytes[1] |= 0xfU;
  mask(bytes, four ? 4 : 2, 2);
  if (four) mask(bytes, 10, 2);
  return drawn;
}

std::optional<Answer> answer_of(Bytes bytes, int family) {
  const bool four = family == AF_INET;
  const std::size_t header = four ? 20 : 40;
  if (bytes.size() < header + 8) return {};
  bytes.resize(
      std::min(bytes.size(), four ? get16(bytes, 2) : header + get16(bytes, 4))); // Ethernet's padding
  const auto protocol = bytes[four ? 9 : 6];
  const auto type = bytes[header];
  Answer answer{.bytes = bytes, .raw = bytes, .inner = header};
  answer.drawn = mask_header(answer.bytes, family);
  if (protocol == IPPROTO_TCP && bytes.size() >= header + 20) {
    answer.port = get16(bytes, header);
    answer.from = get16(bytes, header + 2);
    mask_transport(answer.bytes, header, IPPROTO_TCP);
    return answer;
  }
  if (protocol != (four ? kIcmp : kIcmp6)) return {};
  mask(answer.bytes, header + 2, 2);
  if (type == (four ? 0 : 129)) {
    answer.from = get16(bytes, header + 4);
    mask(answer.bytes, header + 4, 2);
    return answer;
  }
  const auto quoted = header + 8 + header;
  if (type != (four ? 3 : 1) || bytes.size() < quoted + 8) return {};
  answer.from = get16(bytes, quoted);
  answer.port = get16(bytes, quoted + 2);
  mask_transport(answer.bytes, quoted, bytes[header + 8 + (four ? 9 : 6)]);
  return answer;
}

} // namespace

[[noreturn]] void die(std::string_view what) {
  std::fprintf(stderr, "packets: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::exit(2);
}

Address address_of(const char* text) {
  Address address;
  if (std::strchr(text, ':') != nullptr) address.family = AF_INET6;
  if (::inet_pton(address.family, text, address.bytes.data()) != 1) die(text);
  return address;
}

/// The source number `n` behind `first`.
Address nth(Address first, std::uint32_t n) {
  const std::size_t at = first.family == AF_INET ? 0 : 4;
  std::uint32_t word = 0;
  std::memcpy(&word, &first.bytes[at], sizeof word);
  word = htonl(ntohl(word) + n);
  std::memcpy(&first.bytes[at], &word, sizeof word);
  return first;
}

std::uint8_t protocol_of(std::string_view name) {
  if (name == "tcp") return IPPROTO_TCP;
  if (name == "udp") return IPPROTO_UDP;
  if (name == "icmp") return IPPROTO_ICMP;
  errno = EINVAL;
  die(name);
}

Target step_of(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) die(text);
  return {protocol_of(text.substr(colon + 1)), static_cast<std::uint16_t>(std::stoul(text))};
}

Road::Road(const Address& target) : target_(target), fd_(::socket(target.family, SOCK_RAW, IPPROTO_RAW)) {
  if (fd_ < 0) die("raw socket");
  const int room = 8 << 20;
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
}

void Road::send(const Address& source, const Target& target, std::uint16_t from, const Shape& shape) const {
  const auto bytes = packet(source, target_, target, from, shape);
  sockaddr_storage to{};
  to.ss_family = static_cast<sa_family_t>(target_.family);
  auto* place = target_.family == AF_INET
                    ? static_cast<void*>(&reinterpret_cast<sockaddr_in*>(&to)->sin_addr)
                    : static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(&to)->sin6_addr);
  std::memcpy(place, target_.bytes.data(), target_.size());
  const socklen_t size = target_.family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (::sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), size) < 0) die("send");
}

std::string Answer::text() const {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    char two[4];
    std::snprintf(two, sizeof two, "%02x", bytes[at]);
    text += (at == inner ? " | " : at % 4 == 0 ? " " : "") + std::string(two);
  }
  return text;
}

Ear::Ear(const Address& host) : host_(host) {
  const int family = host.family == AF_INET ? ETH_P_IP : ETH_P_IPV6;
  fd_ = ::socket(AF_PACKET, SOCK_DGRAM, htons(static_cast<std::uint16_t>(family)));
  if (fd_ < 0) die("packet socket");
  const int room = 64 << 20;
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
}

std::optional<Answer> Ear::next(std::chrono::milliseconds patience) {
  const auto end = Clock::now() + patience;
  for (;;) {
    Bytes bytes(2'048);
    const auto size = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size > 0) {
      bytes.resize(static_cast<std::size_t>(size));
      const std::size_t source = host_.family == AF_INET ? 12 : 8;
      if (bytes.size() < source + host_.size() ||
          !std::equal(&bytes[source], &bytes[source] + host_.size(), host_.bytes.begin()))
        continue;
      if (auto answer = answer_of(std::move(bytes), host_.family)) return answer;
      continue;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (left <= 0ms) return {};
    pollfd waiting{fd_, POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(left.count()));
  }
}

} // namespace raw
