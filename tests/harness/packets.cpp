// SPDX-License-Identifier: GPL-2.0-or-later
// Raw packets for kernel tests: any source, any rate, two processors at once. Root; in a namespace of the test.
//
//   packets ask SOURCE TARGET PROTO PORT           one probe of each shape, and what answers, byte for byte;
//                                                  masked is what has to differ: port numbers, checksums
//   packets many SOURCE TARGET PROTO PORT COUNT    COUNT plain probes, and how many answers of each form
//   packets send SOURCE TARGET FROM PORT FLAGS     one TCP packet out of port FROM; FLAGS as a number
//   packets knock FIRST TARGET COUNT RATE STEP...  the steps of COUNT sources in a row, RATE packets a second
//   packets doors FIRST TARGET COUNT RATE STEP...  the same, each source at ports one higher than the one before
//   packets spray FIRST TARGET RATE STEP...        a step at random from a source at random, until killed;
//                                                  0:tcp: any port
//   packets enter FIRST TARGET COUNT PORT STEP...  the steps of each source, then SYNs to PORT until one is
//                                                  answered
//   packets race FIRST TARGET COUNT PORT SYNS NS NS    SYNS of each source at once, out of two namespaces
//
// PROTO: tcp, udp, icmp (its PORT is 0). STEP: 7143:tcp. FIRST: address of the first source, the next ones
// count on from there: IPv4 by one address, IPv6 by one /64.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "raw_packet.hpp"
#include "rough_line.hpp"

namespace {

using namespace raw;
using namespace std::chrono_literals;

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

/// Never more than `kUnanswered` on the way. The kernel sends all ICMP errors of a processor out of one socket,
/// whose send buffer holds some 170 of them until their receiver has looked at them; what it cannot hold is never
/// sent, and on a slow machine that is many.
int many(const Address& source, const Address& host, const Target& target, int count) {
  constexpr int kUnanswered = 100;
  const auto patience = patient(1s);
  const Road road(host);
  Ear ear(host);
  const auto base = some_port();
  std::map<std::string, int> forms;
  int waited_for = 0;
  int answered = 0;
  auto last = Clock::now();
  const auto hear = [&](std::chrono::milliseconds longest) {
    auto answer = ear.next(longest);
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
      if (!hear(patience)) waited_for = 0;
  }
  while (hear(answered < count ? patience : 20ms)) {
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

/// Each source's ports are `apart` from those of the source before.
int knock(const Address& first, const Address& host, std::uint32_t count, double rate, std::uint32_t apart,
          const std::vector<Target>& steps) {
  const Road road(host);
  Pace pace(rate);
  const auto start = Clock::now();
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::size_t step = 0; step < steps.size(); ++step) {
      pace.wait();
      const Target target{steps[step].protocol, static_cast<std::uint16_t>(steps[step].port + i * apart)};
      road.send(nth(first, i), target, static_cast<std::uint16_t>(20'000 + step),
                Shape{.sequence = i * 64 + static_cast<std::uint32_t>(step)});
    }
  const auto packets = static_cast<double>(count) * static_cast<double>(steps.size());
  std::fprintf(stderr, "%.0f packets a second\n", packets * 1e6 / micros_since(start));
  return 0;
}

/// Knocks over a rough line, another one each 5 ms; a stray goes to port 9. `gap_ms`: from step to step.
int rough_knocks(const Address& first, const Address& host, std::uint32_t count, std::uint32_t gap_ms,
                 const std::vector<Target>& steps) {
  struct Packet {
    std::chrono::microseconds at;
    std::uint32_t knock;
    std::size_t step;
  };
  std::mt19937 draw{23};
  std::vector<Packet> packets;
  for (std::uint32_t i = 0; i < count; ++i)
    for (const auto& [at, step] : rough::line(steps.size(), std::chrono::milliseconds(gap_ms), draw))
      packets.push_back({at + i * 5ms, i, step});
  std::stable_sort(packets.begin(), packets.end(),
                   [](const Packet& a, const Packet& b) { return a.at < b.at; });
  const Road road(host);
  const auto start = Clock::now();
  for (const auto& [at, knock, step] : packets) {
    std::this_thread::sleep_until(start + at);
    const bool stray = step == rough::Arrival::kStray;
    const auto number = static_cast<std::uint32_t>(stray ? 63 : step);
    road.send(nth(first, knock), stray ? Target{IPPROTO_TCP, 9} : steps[step],
              static_cast<std::uint16_t>(20'000 + number), Shape{.sequence = knock * 64 + number});
  }
  return 0;
}

/// All ports in order, `rounds` times, from `sources` in turns, with these TCP flags; 20,000 packets a second.
int sweep(const Address& first, const Address& host, std::uint32_t sources, std::uint32_t rounds,
          std::uint8_t flags) {
  const Road road(host);
  Pace pace(20'000);
  std::uint32_t number = 0;
  for (std::uint32_t round = 0; round < rounds; ++round)
    for (std::uint32_t port = 1; port <= 65'535; ++port) {
      pace.wait();
      ++number;
      road.send(nth(first, number % sources), {IPPROTO_TCP, static_cast<std::uint16_t>(port)},
                static_cast<std::uint16_t>(1'024 + number % 60'000),
                Shape{.flags = flags, .sequence = number});
    }
  return 0;
}

/// Echo requests of all sizes that a frame of 1,500 holds, `rounds` times.
int pings(const Address& source, const Address& host, std::uint32_t rounds) {
  const Road road(host);
  Pace pace(2'000);
  for (std::uint32_t round = 0; round < rounds; ++round)
    for (std::size_t size = 0; size <= 1'400; ++size) {
      pace.wait();
      road.send(source, {protocol_of("icmp"), 0}, static_cast<std::uint16_t>(size), Shape{.payload = size});
    }
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
  if (words.size() < 3) {
    std::fputs(
        "usage: packets ask|many|send|knock|doors|rough|sweep|pings|spray|enter|race SOURCE TARGET ...\n",
        stderr);
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
  if (verb == "knock" || verb == "doors")
    return knock(source, host, number(2), number(3), verb == "doors" ? 1 : 0, steps_from(4));
  if (verb == "rough") return rough_knocks(source, host, number(2), number(3), steps_from(4));
  if (verb == "sweep") return sweep(source, host, number(2), number(3), static_cast<std::uint8_t>(number(4)));
  if (verb == "pings") return pings(source, host, number(2));
  if (verb == "spray") return spray(source, host, number(2), steps_from(3));
  if (verb == "enter")
    return enter(source, host, number(2), static_cast<std::uint16_t>(number(3)), steps_from(4));
  if (verb == "race" && words.size() == 7) return race(words);
  return 2;
}
