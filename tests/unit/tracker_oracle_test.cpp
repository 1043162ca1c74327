// SPDX-License-Identifier: GPL-2.0-or-later
// The tracker against an oracle without any cleverness: plain lists, plain sequences, no trie, no packing.
#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "../harness/sequences.hpp"

using namespace knock;
using namespace std::chrono_literals;

namespace {

using Path = std::vector<Token>; // where an attempt stands: the steps as they came, swaps included

/// How the oracle measures time: in the tracker's ticks, or exactly.
struct InTicks {
  static bool within(Instant from, Instant to, Millis limit) {
    return age(tick_of(to), tick_of(from)) <= ticks_in(limit);
  }
};
struct Exact {
  static inline bool close = false; // some limit was missed or met by less than two ticks
  static bool within(Instant from, Instant to, Millis limit) {
    close = close || (to - from > limit - 2 * kTick && to - from < limit + 2 * kTick);
    return to - from <= limit;
  }
};

template<class Clock>
class Oracle {
 public:
  Oracle(std::vector<Sequence> doors, Millis cooloff) : doors_(std::move(doors)), cooloff_(cooloff) {
    for (const auto& door : doors_) {
      for (std::size_t n = 1; n <= door.steps.size(); ++n) add(prefix(door, n), door, true);
      for (std::size_t i = 0; door.reorder > 0ms && i + 1 < door.steps.size(); ++i) {
        if (door.steps[i] == door.steps[i + 1]) continue;
        auto out = prefix(door, i);
        out.push_back(token_of(door.steps[i + 1]));
        add(out, door, false);
        auto& swap = swaps_[{out, token_of(door.steps[i])}];
        swap.back = prefix(door, i + 2);
        swap.late = prefix(door, i + 1);
        swap.reorder = std::max(swap.reorder, door.reorder);
      }
    }
  }

  std::set<std::string> step(const Address& source, Token token, bool copy, Instant now, bool& marks_copy) {
    auto& mine = sources_[source];
    std::set<std::string> opened;
    marks_copy = false;
    for (auto& slot : mine)
      if (slot && ended(*slot, now)) slot.reset();
    for (auto& slot : mine)
      if (slot && slot->cooling) return opened;

    bool hit = false, known = false, hit_from_path = false;
    std::vector<std::size_t> outs;
    const auto move = [&](std::optional<Attempt>& slot, const Path& to, bool from_path, bool anew) {
      slot->path = to;
      slot->last = now;
      if (anew) slot->first = now, slot->strays = 0;
      hit = true;
      hit_from_path = hit_from_path || from_path;
      const auto* door = door_at(to);
      if (door == nullptr) return;
      if (Clock::within(slot->first, now, door->within) && slot->strays <= door->strays)
        opened.insert(door->name);
      else if (is_leaf(to))
        slot.reset();
    };
    for (std::size_t i = 0; i < mine.size(); ++i) {
      auto& slot = mine[i];
      if (!slot) continue;
      const bool on_path = std::find(slot->path.begin(), slot->path.end(), token) != slot->path.end();
      auto next = slot->path;
      next.push_back(token);
      const auto node = nodes_.find(next);
      const auto swap = swaps_.find({slot->path, token});
      const bool any = node != nodes_.end() || swap != swaps_.end();
      if (any && !(on_path && copy)) {
        if (node != nodes_.end() && node->second.own) {
          move(slot, next, on_path, false);
          continue;
        }
        if (swap != swaps_.end() && Clock::within(slot->last, now, swap->second.reorder)) {
          move(slot, swap->second.back, on_path, false);
          continue;
        }
        if (swap != swaps_.end() && !nodes_.at(slot->path).own) {
          move(slot, swap->second.late, on_path, swap->second.late.size() == 1);
          continue;
        }
        if (node != nodes_.end()) {
          outs.push_back(i);
          continue;
        }
      }
      known = known || on_path;
    }
    const bool hit_before = hit;
    for (auto i : outs) {
      if (hit_before) {
        known = true;
        continue;
      }
      auto& slot = mine[i];
      const bool on_path = std::find(slot->path.begin(), slot->path.end(), token) != slot->path.end();
      auto next = slot->path;
      next.push_back(token);
      move(slot, next, on_path, false);
    }
    const bool started = start(mine, token, copy, now, hit, known, hit_from_path, opened);
    if (!hit && !known && !started) stray(mine, now);
    marks_copy = hit || started;
    return opened;
  }

 private:
  struct Attempt {
    Path path;
    Instant first, last;
    std::uint32_t strays = 0;
    bool cooling = false;
  };
  using Mine = std::array<std::optional<Attempt>, 4>;
  struct Node {
    Millis within{0};
    std::uint32_t strays = 0;
    bool own = false;
  };
  struct Swap {
    Path back, late;
    Millis reorder{0};
  };

  static Path prefix(const Sequence& door, std::size_t n) {
    Path path;
    for (std::size_t i = 0; i < n; ++i) path.push_back(token_of(door.steps[i]));
    return path;
  }
  void add(const Path& path, const Sequence& door, bool own) {
    auto& node = nodes_[path];
    node.within = std::max(node.within, door.within);
    node.strays = std::max(node.strays, door.strays);
    node.own = node.own || own;
  }
  [[nodiscard]] const Sequence* door_at(const Path& path) const {
    for (const auto& door : doors_)
      if (prefix(door, door.steps.size()) == path) return &door;
    return nullptr;
  }
  [[nodiscard]] bool is_leaf(const Path& path) const {
    for (const auto& [other, node] : nodes_)
      if (other.size() == path.size() + 1 && std::equal(path.begin(), path.end(), other.begin()))
        return false;
    for (const auto& [key, swap] : swaps_)
      if (key.first == path) return false;
    return true;
  }
  [[nodiscard]] bool ended(const Attempt& attempt, Instant now) const {
    return !Clock::within(attempt.first, now, attempt.cooling ? cooloff_ : nodes_.at(attempt.path).within);
  }

  bool start(Mine& mine, Token token, bool copy, Instant now, bool hit, bool known, bool hit_from_path,
             std::set<std::string>& opened) {
    const auto node = nodes_.find(Path{token});
    if (node == nodes_.end() || hit_from_path || (copy && known) || (!node->second.own && hit)) return false;
    for (const auto& slot : mine)
      if (slot && slot->path == Path{token}) return false;
    auto* place = &mine[0];
    const auto rank = [&](const std::optional<Attempt>& slot) {
      return !slot ? 0 : is_leaf(slot->path) ? 1 : slot->path.size() == 1 ? 2 : 3;
    };
    for (auto& slot : mine) {
      if (rank(slot) > rank(*place)) continue;
      if (rank(slot) < rank(*place) || (slot && older(*slot, **place, now))) place = &slot;
    }
    *place = Attempt{{token}, now, now, 0, false};
    if (const auto* door = door_at({token})) opened.insert(door->name);
    return true;
  }
  static bool older(const Attempt& a, const Attempt& b, Instant now) {
    if constexpr (std::is_same_v<Clock, InTicks>)
      return age(tick_of(now), tick_of(a.first)) > age(tick_of(now), tick_of(b.first));
    const auto gap = a.first < b.first ? b.first - a.first : a.first - b.first;
    if (gap < kTick && gap > Millis{0}) Exact::close = true;
    return a.first < b.first;
  }
  void stray(Mine& mine, Instant now) {
    bool spent = false;
    bool any = false;
    for (const auto& slot : mine)
      if (slot && !is_leaf(slot->path))
        any = true, spent = spent || slot->strays + 1 > nodes_.at(slot->path).strays;
    if (!any) return;
    bool cool = spent && cooloff_ > 0ms;
    for (auto& slot : mine) {
      if (!slot) continue;
      if (!spent) {
        if (!is_leaf(slot->path)) ++slot->strays;
      } else if (cool) {
        slot = Attempt{{}, now, now, 0, true};
        cool = false;
      } else {
        slot.reset();
      }
    }
  }

  std::vector<Sequence> doors_;
  Millis cooloff_;
  std::map<Path, Node> nodes_;
  std::map<std::pair<Path, Token>, Swap> swaps_;
  std::map<Address, Mine> sources_;
};

std::vector<Sequence> random_doors(std::mt19937& random) {
  std::vector<Sequence> doors;
  std::set<std::vector<Step>> taken;
  const auto count = 1 + random() % 5;
  for (std::size_t i = 0; i < count; ++i) {
    auto door = sequence("d" + std::to_string(i), {});
    const auto steps = 1 + random() % 4;
    for (std::size_t n = 0; n < steps; ++n)
      door.steps.push_back(tcp_step(1 + static_cast<unsigned>(random()) % 5));
    door.within = std::array<Millis, 4>{1s, 3s, 10s, 120s}[random() % 4];
    door.strays = std::array<std::uint32_t, 4>{0, 1, 3, 14}[random() % 4];
    door.reorder = std::array<Millis, 3>{0ms, 50ms, 200ms}[random() % 3];
    if (taken.insert(door.steps).second) doors.push_back(door);
  }
  return doors;
}

Millis random_gap(std::mt19937& random) {
  switch (random() % 8) {
  case 0: return Millis{random() % 130'000};
  case 1: return Millis{random() % 4'000};
  case 2: return Millis{random() % 400};
  default: return Millis{random() % 40};
  }
}

/// One source against both; it never meets another, so that no eviction by others can blur the comparison.
template<class Clock>
int mismatches(std::uint32_t seed, int worlds, int packets, std::size_t& opened_in_all) {
  std::mt19937 random(seed);
  int wrong = 0;
  Tracker tracker(kTestWords, kTestKey);
  for (int world = 0; world < worlds; ++world) {
    const auto doors = random_doors(random);
    const auto cooloff = std::array<Millis, 3>{0ms, 1s, 30s}[random() % 3];
    const auto policy = *Policy::compile(doors, cooloff);

    Oracle<Clock> oracle(doors, cooloff);
    const auto source = ipv4(static_cast<std::uint32_t>(world + 1));
    Instant now{Seconds{1000 + random() % 100'000}};
    auto number = static_cast<std::uint32_t>(random());
    std::map<std::pair<std::uint32_t, Token>, Instant> copies;
    unsigned port = 1;
    Exact::close = false;
    for (int i = 0; i < packets; ++i) {
      now += random_gap(random);
      const bool repeat = i > 0 && random() % 8 == 0;
      if (!repeat) ++number, port = 1 + static_cast<unsigned>(random()) % 6;
      const auto seen = copies.find({number, tcp(port)});
      const bool copy = seen != copies.end() && now - seen->second <= 119s;
      if (seen != copies.end() && !copy) number += 1; // near the end of a copy's time both are right
      const auto outcome = tracker.step(policy, syn(source, port, number), tcp(port), now);
      bool marks = false;
      const auto expected = oracle.step(source, tcp(port), copy, now, marks);
      if (marks) copies[{number, tcp(port)}] = now;
      std::set<std::string> opened;
      for (auto index : outcome.completed()) opened.insert(doors[index].name);
      opened_in_all += opened.size();
      if (opened == expected) continue;
      if constexpr (std::is_same_v<Clock, Exact>)
        if (Exact::close) break; // a rounding; from here on the two went different ways
      ++wrong;
      break;
    }
    tracker.carry_over(std::vector<NodeId>(policy.node_count() + 1, 0)); // the next world has other nodes
  }
  return wrong;
}

} // namespace

TEST_CASE("in ticks, tracker and oracle never differ") {
  std::size_t opened = 0;
  CHECK(mismatches<InTicks>(1, 300, 3'000, opened) == 0);
  CHECK(opened > 10'000);
}

TEST_CASE("in exact times, tracker and oracle differ in roundings alone") {
  std::size_t opened = 0;
  CHECK(mismatches<Exact>(2, 300, 300, opened) == 0);
  CHECK(opened > 1'000);
}
