// SPDX-License-Identifier: GPL-2.0-or-later
// From the last knock to an accepted SYN: sends the steps, then SYN after SYN until one is answered.
// Usage: latency TARGET PORT TRIES CLOSE-COMMAND STEP-PORT...   (inside the client's namespace; IPv4; root)
// A kernel's own connect() would retry after a second; raw SYNs are sent without a pause.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

std::uint16_t folded(std::uint32_t sum) {
  while (sum > 0xffffU) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

struct Raw {
  int fd = ::socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
  sockaddr_in target{};
  in_addr source{};

  void syn(std::uint16_t from, std::uint16_t port, std::uint32_t number) const {
    tcphdr header{};
    header.source = htons(from);
    header.dest = htons(port);
    header.seq = htonl(number);
    header.doff = 5;
    header.syn = 1;
    header.window = htons(1024);
    std::uint16_t words[10];
    std::memcpy(words, &header, sizeof words);
    std::uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof header);
    for (auto word : words) sum += word;
    for (auto address : {source.s_addr, target.sin_addr.s_addr})
      sum += (address & 0xffffU) + (address >> 16U);
    header.check = folded(sum);
    ::sendto(fd, &header, sizeof header, 0, reinterpret_cast<const sockaddr*>(&target), sizeof target);
  }

  /// Whether a SYN-ACK for `from` waits.
  [[nodiscard]] bool answered(std::uint16_t from, std::uint16_t port) const {
    char buffer[256];
    while (::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
      iphdr ip{};
      std::memcpy(&ip, buffer, sizeof ip);
      tcphdr header{};
      std::memcpy(&header, buffer + 4 * ip.ihl, sizeof header);
      if (header.syn && header.ack && ntohs(header.dest) == from && ntohs(header.source) == port) return true;
    }
    return false;
  }
};

} // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  Raw raw;
  raw.target.sin_family = AF_INET;
  ::inet_pton(AF_INET, argv[1], &raw.target.sin_addr);
  ::inet_pton(AF_INET, "203.0.113.9", &raw.source);
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  const int tries = std::atoi(argv[3]);
  std::vector<double> micros;
  int lost = 0;
  for (int i = 0; i < tries; ++i) {
    const auto from = static_cast<std::uint16_t>(20'000 + i * 40);
    auto start = Clock::now();
    for (int step = 5; step < argc; ++step) {
      if (step > 5) ::usleep(2'000);
      start = Clock::now(); // before the last knock leaves
      raw.syn(from, static_cast<std::uint16_t>(std::atoi(argv[step])),
              static_cast<std::uint32_t>(i * 64 + step));
    }
    bool open = false;
    for (std::uint32_t n = 0; !open && Clock::now() - start < std::chrono::seconds(2); ++n) {
      raw.syn(static_cast<std::uint16_t>(from + 1), port, n);
      for (int look = 0; look < 3 && !open; ++look)
        open = raw.answered(static_cast<std::uint16_t>(from + 1), port);
    }
    if (open)
      micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    else
      ++lost;
    if (std::system(argv[4]) != 0) return 1;
  }
  std::sort(micros.begin(), micros.end());
  if (micros.empty()) return 1;
  std::printf("{\"tries\": %d, \"never_open\": %d, \"p50_us\": %.0f, \"p99_us\": %.0f}\n", tries, lost,
              micros[micros.size() / 2], micros[micros.size() * 99 / 100]);
}
