// SPDX-License-Identifier: GPL-2.0-or-later
// simulate: histories of the keeper, drawn by seeds, under the laws. Exit 1: a law was broken, and how.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "simulation.hpp"

using namespace knock::simulation;

namespace {

constexpr const char* kUsage = "usage: simulate [--seeds A..B | --seed S | --file LIST] [--from TEXT] "
                               "[--seconds N] [--steps K] [--tell] [--go-on]\n"
                               "  --seeds A..B  plays these; without --seconds all of them\n"
                               "  --from TEXT   begins at a seed made of the text, such as a commit id\n"
                               "  --count N     plays so many seeds\n"
                               "  --seconds N   stops after N seconds\n"
                               "  --steps K     events of one history (1000)\n"
                               "  --tell        prints each event, and each line that the keeper logs\n"
                               "  --go-on       names each seed that failed, and shortens none\n";

struct Options {
  std::uint64_t first = 1;
  std::uint64_t last = ~std::uint64_t{0};
  std::size_t steps = 1'000;
  std::uint64_t count = 0; ///< 0: no limit
  double seconds = 0;
  bool tell = false;
  bool go_on = false;
  const char* file = nullptr;
};

struct Sum {
  std::uint64_t seeds = 0, events = 0, rounds = 0;
};

std::uint64_t seed_of(std::string_view text) {
  return static_cast<std::uint64_t>(knock::door_id(text)) >> 8U;
}

bool parse(int argc, char** argv, Options& options) {
  for (int at = 1; at < argc; ++at) {
    const std::string name = argv[at];
    if (name == "--tell" || name == "--go-on") {
      (name == "--tell" ? options.tell : options.go_on) = true;
      continue;
    }
    if (at + 1 == argc) return false;
    char* value = argv[++at];
    if (name == "--seed") {
      options.first = options.last = std::strtoull(value, nullptr, 10);
    } else if (name == "--seeds") {
      options.first = std::strtoull(value, &value, 10);
      if (std::strncmp(value, "..", 2) != 0) return false;
      options.last = std::strtoull(value + 2, nullptr, 10);
    } else if (name == "--from") {
      options.first = seed_of(value);
    } else if (name == "--count") {
      options.count = std::strtoull(value, nullptr, 10);
    } else if (name == "--seconds") {
      options.seconds = std::strtod(value, nullptr);
    } else if (name == "--steps") {
      options.steps = std::strtoull(value, nullptr, 10);
    } else if (name == "--file") {
      options.file = value;
    } else {
      return false;
    }
  }
  return options.file != nullptr || options.count != 0 || options.seconds > 0 ||
         options.last != ~std::uint64_t{0};
}

/// Returns whether the laws held.
bool run(std::uint64_t seed, const Options& options, Sum& sum) {
  const auto history = draw_history(seed, options.steps);
  auto played = play(history, options.tell);
  ++sum.seeds;
  sum.events += played.events;
  sum.rounds += played.rounds;
  if (!played.broken && seed % 16 == 0 && play(history).hash != played.hash)
    played.broken = {"same", "the same history gave other bytes"};
  if (!played.broken) return true;
  const auto& [law, what] = *played.broken;
  std::printf("seed %llu, event %zu: law %s: %s\n", static_cast<unsigned long long>(seed), played.events,
              law.c_str(), what.c_str());
  if (law == "same" || options.go_on) return false;
  const auto shorter = shortened(history, law);
  std::printf("shortened to %zu events, begins with config %u:\n", shorter.events.size(), shorter.config);
  const auto again = play(shorter, true);
  std::printf("law %s: %s\n", law.c_str(), again.broken ? again.broken->what.c_str() : "holds now");
  return false;
}

/// Seeds that failed once: the first word of each line; what follows says why.
bool run_file(const Options& options, Sum& sum) {
  std::ifstream file(options.file);
  if (!file) {
    std::fprintf(stderr, "simulate: %s: %s\n", options.file, std::strerror(errno));
    return false;
  }
  bool good = true;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#')
      good = run(std::strtoull(line.c_str(), nullptr, 10), options, sum) && good;
  return good;
}

} // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Sum sum;
  const auto begun = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  bool good = true;
  if (options.file != nullptr) {
    good = run_file(options, sum);
  } else {
    std::printf("seeds from %llu\n", static_cast<unsigned long long>(options.first));
    for (auto seed = options.first; good || options.go_on; ++seed) {
      good = run(seed, options, sum) && good;
      if (seed == options.last || (options.count != 0 && sum.seeds >= options.count) ||
          (options.seconds > 0 && elapsed() >= options.seconds))
        break;
    }
  }
  const auto seconds = elapsed();
  std::printf("{\"benchmark\":\"simulate\",\"seeds\":%llu,\"events\":%llu,\"rounds\":%llu,\"seconds\":%.1f,"
              "\"events_per_second\":%.0f}\n",
              static_cast<unsigned long long>(sum.seeds), static_cast<unsigned long long>(sum.events),
              static_cast<unsigned long long>(sum.rounds), seconds,
              static_cast<double>(sum.events) / seconds);
  return good ? 0 : 1;
}
