// SPDX-License-Identifier: GPL-2.0-or-later
// A flood of knocks from forged sources, by raw sockets; a test runs it inside a namespace of its own.
//
// Usage: spoof DESTINATION FIRST-SOURCE COUNT PACE PORT...
//   COUNT sources from FIRST-SOURCE on: the next address each, over IPv6 the next /64. Each sends one packet
//   to each PORT ("tcp/7143": a SYN, "udp/12899": an empty datagram), in this order, at PACE packets a second
//   in all. 64 sources take turns, so the steps of one follow each other within 64 packets. Says what it
//   sent, and how long that took.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include <knock/address.hpp>
#include <knock/port.hpp>

using namespace knock;

namespace {

constexpr unsigned kTurns = 64;
using Bytes = std::vector<std::uint8_t>;
using Random = std::independent_bits_engine<std::minstd_rand, 32, std::uint32_t>;

[[noreturn]] void usage(std::string_view why) {
  std::fprintf(stderr, "%.*s\nusage: spoof DESTINATION FIRST-SOURCE COUNT PACE PORT...\n",
               static_cast<int>(why.size()), why.data());
  std::exit(2);
}

unsigned number(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > most) usage(text);
  return value;
}

void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put(Bytes& out, std::span<const std::uint8_t> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// Source: RFC 1071. `bytes`: an even number.
unsigned checksum(std::span<const std::uint8_t> bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += unsigned{bytes[i]} << 8U | bytes[i + 1];
  while (sum >> 16U) sum = (sum & 0xffffU) + (sum >> 16U);
  return ~sum & 0xffffU;
}

/// The `index`-th address behind `first`.
Address behind(Address first, unsigned index) {
  const std::size_t last = first.family == Family::ipv4 ? 3 : 7;
  for (std::size_t at = last + 1; at-- > 0 && index != 0; index >>= 8U) {
    index += first.octets[at];
    first.octets[at] = static_cast<std::uint8_t>(index);
  }
  return first;
}

Bytes transport(Port port, Random& random) {
  Bytes out;
  put16(out, 1024 + random() % 60'000);
  put16(out, port.number);
  if (port.protocol == Protocol::udp) {
    for (unsigned field : {8U, 0U}) put16(out, field);
    return out;
  }
  for (unsigned field : {random(), random(), 0U, 0U, 0x5002U, 64'240U, 0U, 0U}) put16(out, field & 0xffffU);
  return out;
}

Bytes packet(const Address& source, const Address& destination, Port port, Random& random) {
  auto payload = transport(port, random);
  const unsigned size = static_cast<unsigned>(payload.size());
  const unsigned protocol = port.protocol == Protocol::udp ? IPPROTO_UDP : IPPROTO_TCP;
  Bytes pseudo;
  put(pseudo, source.bytes());
  put(pseudo, destination.bytes());
  for (unsigned field : {0U, size, 0U, protocol}) put16(pseudo, field); // its sum is that of IPv4's, too
  put(pseudo, payload);
  auto sum = checksum(pseudo);
  if (sum == 0) sum = 0xffff;
  const std::size_t at = port.protocol == Protocol::udp ? 6 : 16;
  payload[at] = static_cast<std::uint8_t>(sum >> 8U);
  payload[at + 1] = static_cast<std::uint8_t>(sum);

  Bytes out;
  if (source.family == Family::ipv4) // the kernel fills in id and checksum
    for (unsigned field : {0x4500U, 20 + size, 0U, 0U, 64U << 8U | protocol, 0U}) put16(out, field);
  else
    for (unsigned field : {0x6000U, 0U, size, protocol << 8U | 64U}) put16(out, field);
  put(out, source.bytes());
  put(out, destination.bytes());
  put(out, payload);
  return out;
}

class Sender {
 public:
  explicit Sender(const Address& destination) {
    const bool ipv4 = destination.family == Family::ipv4;
    fd_ = ::socket(ipv4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
    const int one = 1, buffer = 1 << 22;
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (!ipv4) ::setsockopt(fd_, IPPROTO_IPV6, IPV6_HDRINCL, &one, sizeof one);
    if (ipv4) {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      std::memcpy(&to.sin_addr, destination.octets.data(), sizeof to.sin_addr);
      std::memcpy(&to_, &to, size_ = sizeof to);
    } else {
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      std::memcpy(&to.sin6_addr, destination.octets.data(), sizeof to.sin6_addr);
      std::memcpy(&to_, &to, size_ = sizeof to);
    }
  }
  void send(const Bytes& bytes) const {
    const auto* to = static_cast<const sockaddr*>(static_cast<const void*>(&to_));
    if (::sendto(fd_, bytes.data(), bytes.size(), 0, to, size_) >= 0) return;
    std::perror("send");
    std::exit(1);
  }

 private:
  int fd_ = -1;
  sockaddr_storage to_{};
  socklen_t size_ = 0;
};

} // namespace

int main(int argc, char** argv) {
  if (argc < 6) usage("too few words");
  const auto destination = parse_address(argv[1]), first = parse_address(argv[2]);
  if (!destination || !first || destination->family != first->family) usage("two addresses of one family");
  const unsigned count = number(argv[3], 1U << 24U), pace = number(argv[4], 10'000'000);
  std::vector<Port> ports;
  for (int i = 5; i < argc; ++i) {
    const auto port = parse_port(argv[i]);
    if (!port) usage(argv[i]);
    ports.push_back(*port);
  }
  const Sender sender(*destination);
  Random random;
  using Clock = std::chrono::steady_clock;
  const auto begun = Clock::now();
  std::uint64_t sent = 0;
  for (unsigned base = 0; base < count; base += kTurns)
    for (const auto port : ports)
      for (unsigned i = base; i < std::min(base + kTurns, count); ++i, ++sent) {
        if (sent % 16 == 0) // a pace, not a wait
          std::this_thread::sleep_until(begun + std::chrono::nanoseconds{sent * 1'000'000'000 / pace});
        sender.send(packet(behind(*first, i), *destination, port, random));
      }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
  std::printf("%llu packets of %u sources in %lld ms\n", static_cast<unsigned long long>(sent), count,
              static_cast<long long>(took.count()));
}
