// SPDX-License-Identifier: GPL-2.0-or-later
/// Raw packets for kernel tests: built from any source, and what a host answers, masked where ports differ.
///
/// Requires: root, inside a namespace of the test. A failed system call ends the program with status 2.
#pragma once

#include <netinet/in.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace raw {

using Bytes = std::vector<std::uint8_t>;
using Clock = std::chrono::steady_clock;

[[noreturn]] void die(std::string_view what);

struct Address {
  int family = AF_INET;
  std::array<std::uint8_t, 16> bytes{};

  [[nodiscard]] std::size_t size() const { return family == AF_INET ? 4 : 16; }
  bool operator==(const Address&) const = default;
};
Address address_of(const char* text);
/// The source number `n` behind `first`: IPv4 one address each, IPv6 one /64.
Address nth(Address first, std::uint32_t n);

struct Target {
  std::uint8_t protocol = IPPROTO_TCP;
  std::uint16_t port = 0;
};
std::uint8_t protocol_of(std::string_view name);
/// "7143:tcp"
Target step_of(const std::string& text);

/// What a probe looks like beside its addresses and ports.
struct Shape {
  const char* name = "plain";
  std::uint8_t flags = 0x02; // SYN
  std::uint32_t sequence = 77;
  std::uint8_t tos = 0;
  std::uint8_t ttl = 64;
  std::uint16_t window = 1024;
  std::uint16_t fragment = 0x4000; // DF
  bool options = false;
  std::size_t payload = 0;
};

/// A way to one host.
class Road {
 public:
  explicit Road(const Address& target);
  void send(const Address& source, const Target& target, std::uint16_t from, const Shape& shape = {}) const;

 private:
  Address target_;
  int fd_;
};

/// What a host answered to the probe that came out of port `from`.
struct Answer {
  std::uint16_t from = 0;
  std::uint16_t port = 0;
  Bytes bytes; ///< masked
  Bytes raw;
  std::size_t inner = 0; ///< where TCP or ICMP begins
  bool drawn = false;    ///< its id or flow label is not 0

  [[nodiscard]] std::string text() const;
};

/// Hears what a host sends.
class Ear {
 public:
  explicit Ear(const Address& host);
  std::optional<Answer> next(std::chrono::milliseconds patience);

 private:
  Address host_;
  int fd_ = -1;
};

} // namespace raw
