// SPDX-License-Identifier: GPL-2.0-or-later
// Raw packets for kernel tests: any source, any rate, two processors at once. Root; inside a namespace of the
// test.
//
//   packets ask SOURCE TARGET PROTO PORT           one probe of each shape, and what answers, byte for byte.
//   Masked is what
//                                                  has to differ from port to port: port numbers and
//                                                  checksums
//   packets many SOURCE TARGET PROTO PORT COUNT    COUNT plain probes, and how many answers of each form
//   packets send SOURCE TARGET FROM PORT FLAGS     one TCP packet out of port FROM; FLAGS as a number
//   packets knock FIRST TARGET COUNT RATE STEP...  the steps of COUNT sources in a row, at RATE packets a
//   second packets spray FIRST TARGET RATE STEP...        a step at random from a source at random, until
//   killed; 0:tcp: any port packets enter FIRST TARGET COUNT PORT STEP...  the steps of each source, then
//   SYNs to PORT until one is answered packets race FIRST TARGET COUNT PORT SYNS NS NS    SYNS of each source
//   at once, in turn out of two namespaces
//
// PROTO: tcp, udp, icmp (its PORT is 0). STEP: 7143:tcp. FIRST: address of the first source, the next ones
// count on from there: IPv4 by one address, IPv6 by one /64.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Bytes = std::vector<std::uint8_t>;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint8_t kIcmp = IPPROTO_ICMP;
constexpr std::uint8_t kIcmp6 = IPPROTO_ICMPV6;

[[noreturn]] void die(std::string_view what) {
  std::fprintf(stderr, "packets: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::exit(2);
}

struct Address {
  int family = AF_INET;
  std::array<std::uint8_t, 16> bytes{};

  [[nodiscard]] std::size_t size() const { return family == AF_INET ? 4 : 16; }
  bool operator==(const Address&) const = default;
};

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

struct Target {
  std::uint8_t protocol = IPPROTO_TCP;
  std::uint16_t port = 0;
};

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

constexpr std::array kTcpShapes{
    Shape{.name = "syn"},
    Shape{.name = "syn, options", .options = true},
    Shape{.name = "syn, window 0", .window = 0},
    Shape{.name = "syn, sequence 0", .sequence = 0},
    Shape{.name = "syn, last sequence", .sequence = 0xffffffff},
    Shape{.name = "syn, tos 0x10", .tos = 0x10},
    Shape{.name = "syn, tos 0xb9", .tos = 0xb9},
    Shape{.name = "syn, ttl 3, no DF", .ttl = 3, .fragment = 0},
    Shape{.name = "syn ece cwr", .flags = 0xc2, .options = true},
    Shape{.name = "syn with data", .options = true, .payload = 100},
    Shape{.name = "ack", .flags = 0x10},
    Shape{.name = "ack with data", .flags = 0x18, .payload = 1000},
    Shape{.name = "syn ack", .flags = 0x12, .options = true},
    Shape{.name = "fin", .flags = 0x01},
    Shape{.name = "fin psh urg", .flags = 0x29},
    Shape{.name = "no flag", .flags = 0},
    Shape{.name = "syn fin", .flags = 0x03},
    Shape{.name = "rst", .flags = 0x04},
};
constexpr std::array kOtherShapes{
    Shape{.name = "empty"},
    Shape{.name = "8 bytes", .payload = 8},
    Shape{.name = "600 bytes", .payload = 600},
    Shape{.name = "1,400 bytes", .payload = 1'400},
    Shape{.name = "tos 0x10", .tos = 0x10, .payload = 8},
    Shape{.name = "tos 0xb9", .tos = 0xb9, .payload = 8},
    Shape{.name = "ttl 3, no DF", .ttl = 3, .fragment = 0, .payload = 8},
};

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

/// A way to one host.
class Road {
 public:
  explicit Road(const Address& target)
      : target_(target), fd_(::socket(target.family, SOCK_RAW, IPPROTO_RAW)) {
    if (fd_ < 0) die("raw socket");
    const int room = 8 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  }
  void send(const Address& source, const Target& target, std::uint16_t from, const Shape& shape = {}) const {
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
  [[nodiscard]] const Address& target() const { return target_; }

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

  [[nodiscard]] std::string text() const {
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      char two[4];
      std::snprintf(two, sizeof two, "%02x", bytes[at]);
      text += (at == inner ? " | " : at % 4 == 0 ? " " : "") + std::string(two);
    }
    return text;
  }
};

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

/// Hears what a host sends.
class Ear {
 public:
  explicit Ear(const Address& host) : host_(host) {
    const int family = host.family == AF_INET ? ETH_P_IP : ETH_P_IPV6;
    fd_ = ::socket(AF_PACKET, SOCK_DGRAM, htons(static_cast<std::uint16_t>(family)));
    if (fd_ < 0) die("packet socket");
    const int room = 64 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  }
  std::optional<Answer> next(std::chrono::milliseconds patience) {
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

 private:
  Address host_;
  int fd_ = -1;
};

/// `time`, longer where the machine is slow.
std::chrono::milliseconds patient(std::chrono::milliseconds time) {
  const char* slow = std::getenv("KNOCKGATE_SLOW");
  return time * (slow != nullptr ? std::atoi(slow) : 1);
}

std::uint16_t some_port() {
  return static_cast<std::uint16_t>(10'000 + std::random_device{}() % 40'000);
}

double micros_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double percentile(std::vector<double> values, std::size_t percent) {
  if (values.empty()) return -1;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, values.size() * percent / 100)];
}

int ask(const Address& source, const Address& host, const Target& target) {
  const Road road(host);
  Ear ear(host);
  const std::vector<Shape> shapes = target.protocol == IPPROTO_TCP
                                        ? std::vector<Shape>(kTcpShapes.begin(), kTcpShapes.end())
                                        : std::vector<Shape>(kOtherShapes.begin(), kOtherShapes.end());
  const auto base = some_port();
  std::vector<std::vector<std::string>> heard(shapes.size());
  std::vector<double> times;
  bool drawn = false;
  const auto hear = [&](std::chrono::milliseconds patience) {
    auto answer = ear.next(patience);
    if (!answer || answer->port != target.port) return answer.has_value();
    const auto shape = static_cast<std::size_t>(answer->from - base);
    if (answer->from >= base && shape < shapes.size()) heard[shape].push_back(answer->text());
    drawn |= answer->drawn;
    return true;
  };
  for (std::size_t shape = 0; shape < shapes.size(); ++shape) {
    const auto start = Clock::now();
    road.send(source, target, static_cast<std::uint16_t>(base + shape), shapes[shape]);
    while (heard[shape].empty() && hear(20ms)) {
    }
    if (!heard[shape].empty()) times.push_back(micros_since(start));
  }
  while (hear(patient(100ms))) {
  } // a second answer, or a late one
  for (std::size_t shape = 0; shape < shapes.size(); ++shape) {
    std::printf("%s: %zu\n", shapes[shape].name, heard[shape].size());
    for (const auto& text : heard[shape]) std::printf(" %s\n", text.c_str());
  }
  std::printf("ids or flow labels are drawn: %s\n", drawn ? "yes" : "no");
  std::fprintf(stderr, "%.0f us\n", percentile(times, 50));
  return 0;
}

/// Never more than `kUnanswered` on the way, so that no queue between the namespaces overflows; who does not
/// answer is not waited for beyond `kPatience`.
int many(const Address& source, const Address& host, const Target& target, int count) {
  constexpr int kUnanswered = 200;
  constexpr auto kPatience = 20ms;
  const Road road(host);
  Ear ear(host);
  const auto base = some_port();
  std::map<std::string, int> forms;
  int waited_for = 0;
  int answered = 0;
  auto last = Clock::now();
  const auto hear = [&](std::chrono::milliseconds patience) {
    auto answer = ear.next(patience);
    if (!answer) return false;
    if (answer->port != target.port || answer->from < base || answer->from >= base + count) return true;
    ++forms[answer->text()];
    --waited_for;
    ++answered;
    last = Clock::now();
    return true;
  };
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) {
    road.send(source, target, static_cast<std::uint16_t>(base + i),
              Shape{.payload = target.protocol == IPPROTO_TCP ? 0U : 8U});
    ++waited_for;
    while (waited_for >= kUnanswered)
      if (!hear(kPatience)) waited_for = 0;
  }
  while (hear(answered < count ? patient(1s) : 20ms)) {
  }
  for (const auto& [text, times] : forms) std::printf("%d %s\n", times, text.c_str());
  std::fprintf(stderr, "%.0f ms\n", std::chrono::duration<double, std::milli>(last - start).count());
  return 0;
}

/// Lets through `rate` a second; who comes late by more than 50 ms does not catch up.
class Pace {
 public:
  explicit Pace(double rate)
      : gap_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate))) {}
  void wait() {
    next_ = std::max(next_ + gap_, Clock::now() - 50ms);
    for (auto left = next_ - Clock::now(); left > 0us; left = next_ - Clock::now())
      if (left > 100us) std::this_thread::sleep_for(50us);
  }

 private:
  Clock::duration gap_;
  Clock::time_point next_ = Clock::now();
};

int knock(const Address& first, const Address& host, std::uint32_t count, double rate,
          const std::vector<Target>& steps) {
  const Road road(host);
  Pace pace(rate);
  const auto start = Clock::now();
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::size_t step = 0; step < steps.size(); ++step) {
      pace.wait();
      road.send(nth(first, i), steps[step], static_cast<std::uint16_t>(20'000 + step),
                Shape{.sequence = i * 64 + static_cast<std::uint32_t>(step)});
    }
  const auto packets = static_cast<double>(count) * static_cast<double>(steps.size());
  std::fprintf(stderr, "%.0f packets a second\n", packets * 1e6 / micros_since(start));
  return 0;
}

int spray(const Address& first, const Address& host, double rate, const std::vector<Target>& steps) {
  const Road road(host);
  Pace pace(rate);
  std::mt19937 draw{std::random_device{}()};
  for (;;) {
    pace.wait();
    auto step = steps[draw() % steps.size()];
    if (step.port == 0) step.port = static_cast<std::uint16_t>(1 + draw() % 65'535);
    road.send(nth(first, draw() & 0xffffffU), step, static_cast<std::uint16_t>(1'024 + draw() % 60'000),
              Shape{.sequence = static_cast<std::uint32_t>(draw())});
  }
}

int enter(const Address& first, const Address& host, std::uint32_t count, std::uint16_t port,
          const std::vector<Target>& steps) {
  const Road road(host);
  Ear ear(host);
  std::vector<double> times;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto source = nth(first, i);
    const auto from = static_cast<std::uint16_t>(20'000 + i % 40'000);
    const auto shape = Shape{.sequence = i * 64};
    auto start = Clock::now();
    for (std::size_t step = 0; step < steps.size(); ++step) {
      std::this_thread::sleep_for(step == 0 ? 0ms : 2ms);
      start = Clock::now();
      road.send(source, steps[step], static_cast<std::uint16_t>(19'000 + step), shape);
    }
    for (bool in = false; !in && Clock::now() - start < 2s;) {
      road.send(source, {IPPROTO_TCP, port}, from, shape);
      for (auto answer = ear.next(0ms); answer && !in; answer = ear.next(0ms))
        in = answer->port == port && answer->from == from &&
             (answer->raw[answer->inner + 13] & 0x12U) == 0x12U;
      if (!in) continue;
      times.push_back(micros_since(start));
      road.send(source, {IPPROTO_TCP, port}, from, Shape{.flags = 0x04, .sequence = shape.sequence + 1});
    }
  }
  std::printf("%zu\n", times.size());
  std::fprintf(stderr, "p50 %.0f us, p99 %.0f us\n", percentile(times, 50), percentile(times, 99));
  return times.size() == count ? 0 : 1;
}

/// Both senders wait for each other before every source.
void race_sender(std::uint32_t turn, const char* space, const std::vector<std::string>& words,
                 std::atomic<std::uint32_t>& at) {
  const int ns = ::open(space, O_RDONLY | O_CLOEXEC);
  if (ns < 0 || ::setns(ns, CLONE_NEWNET) != 0) die(space);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(turn, &one);
  ::sched_setaffinity(0, sizeof one, &one);
  const auto first = address_of(words[0].c_str());
  const Road road(address_of(words[1].c_str()));
  const auto count = static_cast<std::uint32_t>(std::stoul(words[2]));
  const Target target{IPPROTO_TCP, static_cast<std::uint16_t>(std::stoul(words[3]))};
  const auto syns = static_cast<std::uint32_t>(std::stoul(words[4]));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto source = nth(first, i);
    ++at;
    for (int spin = 0; at < 2 * (i + 1); ++spin)
      if (spin > 20'000) ::sched_yield();
    for (auto syn = turn; syn < syns; syn += 2)
      road.send(source, target, static_cast<std::uint16_t>(30'000 + syn));
  }
}

int race(const std::vector<std::string>& words) {
  std::atomic<std::uint32_t> at = 0;
  std::thread other(race_sender, 1U, words[6].c_str(), std::cref(words), std::ref(at));
  race_sender(0, words[5].c_str(), words, at);
  other.join();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + std::min(argc, 2), argv + argc);
  const std::string verb = argc > 1 ? argv[1] : "";
  const auto number = [&](std::size_t at) { return static_cast<std::uint32_t>(std::stoul(words.at(at))); };
  const auto steps_from = [&](std::size_t at) {
    std::vector<Target> steps;
    for (; at < words.size(); ++at) steps.push_back(step_of(words[at]));
    return steps;
  };
  if (words.size() < 4) {
    std::fputs("usage: packets ask|many|send|knock|spray|enter|race SOURCE TARGET ...\n", stderr);
    return 2;
  }
  const auto source = address_of(words[0].c_str());
  const auto host = address_of(words[1].c_str());
  if (verb == "ask" || verb == "many") {
    const Target target{protocol_of(words[2]), static_cast<std::uint16_t>(number(3))};
    return verb == "ask" ? ask(source, host, target)
                         : many(source, host, target, static_cast<int>(number(4)));
  }
  if (verb == "send") {
    const Shape shape{.flags = static_cast<std::uint8_t>(std::stoul(words.at(4), nullptr, 0)),
                      .sequence = std::random_device{}()};
    Road(host).send(source, {IPPROTO_TCP, static_cast<std::uint16_t>(number(3))},
                    static_cast<std::uint16_t>(number(2)), shape);
    return 0;
  }
  if (verb == "knock") return knock(source, host, number(2), number(3), steps_from(4));
  if (verb == "spray") return spray(source, host, number(2), steps_from(3));
  if (verb == "enter")
    return enter(source, host, number(2), static_cast<std::uint16_t>(number(3)), steps_from(4));
  if (verb == "race" && words.size() == 7) return race(words);
  return 2;
}
