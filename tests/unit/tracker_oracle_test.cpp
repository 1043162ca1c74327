// SPDX-License-Identifier: GPL-2.0-or-later
// The tracker against an oracle without any cleverness: plain lists, plain sequences, no trie, no tokens, no packing.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "../harness/sequences.hpp"

using namespace knock;
using namespace std::chrono_literals;

namespace {

/// A packet as the tests send it.
struct Sent {
  PacketKind looks; ///< port, flags, length; `word`: all of its payload
  std::uint32_t number = 0;
};

/// What a packet counts as: a kind of step, or the same port with what no step has.
struct Meaning {
  PacketKind kind;
  bool near_miss = false;
  bool beside = false; ///< some step has the port, and a length or word that this packet does not have
  auto operator<=>(const Meaning&) const = default;
};

enum class Looks : std::uint8_t { plain, ping, flags };
Looks looks_of(const Meaning& meaning) {
  if (is_ping(meaning.kind.port)) return Looks::ping;
  return meaning.kind.flags != 0 || (meaning.near_miss && meaning.kind.port.protocol == Protocol::tcp)
             ? Looks::flags
             : Looks::plain;
}

/// Where an attempt stands: the steps as they came.
struct Path {
  std::vector<PacketKind> steps;
  bool in_any_order = false; ///< sorted: no door has them in the order in which they came
  auto operator<=>(const Path&) const = default;

  [[nodiscard]] std::size_t size() const { return steps.size(); }
  [[nodiscard]] Path and_then(const PacketKind& kind) const {
    auto next = *this;
    next.steps.push_back(kind);
    return next;
  }
  [[nodiscard]] Path without_last() const { return {{steps.begin(), steps.end() - 1}, in_any_order}; }
};

/// How the oracle measures time: in the tracker's ticks, or exactly.
struct InTicks {
  static bool within(Instant from, Instant to, Millis limit) {
    return age(tick_of(to), tick_of(from)) <= ticks_in(limit);
  }
  static bool passed(Instant from, Instant to, Millis limit) {
    return age(tick_of(to), tick_of(from)) >= static_cast<Ticks>(limit / kTick);
  }
};
struct Exact {
  static inline bool close = false; // some limit was missed or met by less than two ticks
  static void note(Instant from, Instant to, Millis limit) {
    close = close || (to - from > limit - 2 * kTick && to - from < limit + 2 * kTick);
  }
  static bool within(Instant from, Instant to, Millis limit) {
    note(from, to, limit);
    return to - from <= limit;
  }
  static bool passed(Instant from, Instant to, Millis limit) {
    if (limit == Millis{0}) return true;
    note(from, to, limit);
    return to - from >= limit;
  }
};

template<class Clock>
class Oracle {
 public:
  Oracle(std::vector<Sequence> doors, Millis cooloff) : doors_(std::move(doors)), cooloff_(cooloff) {}

  /// The word that stands in it and is the longest of its port, else its length, else its port alone.
  [[nodiscard]] std::optional<Meaning> meaning_of(const PacketKind& sent) const {
    const PacketKind plain{sent.port};
    const std::string* word = nullptr;
    bool length = false, inside = false, alone = false, flagged = false, any_flags = false, any_ping = false;
    for (const auto& door : doors_)
      for (const auto& [kind, pause] : door.steps) {
        any_flags = any_flags || kind.flags != 0;
        if (kind.port != sent.port) continue;
        any_ping = any_ping || is_ping(kind.port);
        inside = inside || kind.length || !kind.word.empty();
        alone = alone || kind == plain;
        flagged = flagged || (kind.flags != 0 && kind.flags == sent.flags);
        length = length || kind.length == std::optional(static_cast<std::uint16_t>(sent.word.size()));
        if (kind.word.empty() || sent.word.find(kind.word) == sent.word.npos) continue;
        if (word == nullptr || kind.word.size() > word->size() ||
            (kind.word.size() == word->size() && kind.word < *word))
          word = &kind.word;
      }
    if (sent.port.protocol == Protocol::tcp) {
      if (flagged) return Meaning{{sent.port, sent.flags}};
      if ((sent.flags & (kTcpSyn | kTcpAck)) == kTcpSyn) return Meaning{plain};
      return any_flags ? std::optional(Meaning{plain, true}) : std::nullopt;
    }
    if (word != nullptr) return Meaning{{sent.port, 0, {}, *word}};
    if (length) return Meaning{{sent.port, 0, static_cast<std::uint16_t>(sent.word.size())}};
    if (!is_ping(sent.port)) return Meaning{plain, false, inside};
    return any_ping ? std::optional(Meaning{plain, !alone, inside}) : std::nullopt;
  }

  std::set<std::string> step(const Address& source, const Meaning& meaning, bool copy, Instant now,
                             bool& marks_copy) {
    auto& mine = sources_[source];
    begun_ = nullptr;
    std::set<std::string> opened;
    marks_copy = false;
    for (auto& slot : mine)
      if (slot && ended(*slot, now)) slot.reset();
    for (auto& slot : mine)
      if (slot && slot->cooling) return opened;

    const auto& kind = meaning.kind;
    std::set<const std::optional<Attempt>*> moved;
    bool hit = false, known = false, hit_from_path = false;
    std::vector<std::pair<std::size_t, Path>> outs;
    const auto move = [&](std::optional<Attempt>& slot, const Path& to, bool from_path, bool anew) {
      slot->path = to;
      slot->last = now;
      moved.insert(&slot);
      if (anew) slot->first = now;
      hit = true;
      hit_from_path = hit_from_path || from_path;
      const auto* door = door_at(to);
      if (door == nullptr) return;
      if (in_limits(*slot, *door, now))
        opened.insert(door->name);
      else if (is_leaf(to))
        slot.reset();
    };
    for (std::size_t i = 0; i < mine.size(); ++i) {
      auto& slot = mine[i];
      if (!slot) continue;
      const bool on_path = !meaning.near_miss && stands_on(slot->path, kind);
      const auto way = meaning.near_miss ? Way{} : way_from(slot->path, kind);
      if ((way.forward || way.back) && !(on_path && copy)) {
        const bool in_rhythm = Clock::passed(slot->last, now, way.least) &&
                               (!way.most || Clock::within(slot->last, now, *way.most));
        if (way.forward && way.own && in_rhythm)
          move(slot, *way.forward, on_path, false);
        else if (way.back && Clock::within(slot->last, now, way.reorder))
          move(slot, *way.back, on_path, false);
        else if (way.late)
          move(slot, *way.late, on_path, way.late->size() == 1);
        else if (way.forward && way.own)
          slot.reset(), known = true;
        else if (way.forward)
          outs.emplace_back(i, *way.forward);
        else
          known = known || on_path;
        continue;
      }
      known = known || on_path;
    }
    const bool hit_before = hit;
    for (const auto& [i, to] : outs)
      if (hit_before)
        known = true;
      else
        move(mine[i], to, stands_on(mine[i]->path, kind), false);
    const bool started =
        !meaning.near_miss && start(mine, kind, copy, now, hit, known, hit_from_path, opened);
    const bool nothing = !hit && !known && !started;
    std::set<const std::optional<Attempt>*> counted;
    for (const auto& slot : mine)
      if (slot && &slot != begun_ &&
          ((nothing && counts(slot->path, meaning)) ||
           (meaning.beside && !copy && !moved.contains(&slot) && awaits_inside(slot->path, meaning))))
        counted.insert(&slot);
    stray(mine, counted, now);
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
  /// Where a step leads.
  struct Way {
    std::optional<Path> forward, back, late;
    bool own = false;
    Millis least{0}, reorder{0};
    std::optional<Millis> most{};
  };

  static bool stands_on(const Path& path, const PacketKind& kind) {
    return std::find(path.steps.begin(), path.steps.end(), kind) != path.steps.end();
  }
  static bool in_limits(const Attempt& attempt, const Sequence& door, Instant now) {
    return Clock::within(attempt.first, now, door.within) && attempt.strays <= door.strays;
  }
  static bool begins(const Sequence& door, const Path& path) {
    if (path.in_any_order || path.size() > door.steps.size()) return false;
    for (std::size_t i = 0; i < path.size(); ++i)
      if (door.steps[i].kind != path.steps[i]) return false;
    return true;
  }
  /// `path` leaves the door at its last step, which is the one behind the next.
  static bool swaps_out(const Sequence& door, const Path& path) {
    if (!takes_swaps(door) || path.size() == 0 || path.size() >= door.steps.size()) return false;
    const auto i = path.size() - 1;
    return begins(door, path.without_last()) && door.steps[i + 1].kind == path.steps[i] &&
           door.steps[i].kind != path.steps[i];
  }
  /// All steps of `path` are of the door, none twice.
  static bool is_part(const Sequence& door, const Path& path) {
    if (!door.any_order) return false;
    for (const auto& kind : path.steps) {
      if (std::count(path.steps.begin(), path.steps.end(), kind) != 1) return false;
      if (std::none_of(door.steps.begin(), door.steps.end(),
                       [&](const Step& step) { return step.kind == kind; }))
        return false;
    }
    return true;
  }
  [[nodiscard]] bool is_path(const Path& path) const {
    return std::any_of(doors_.begin(), doors_.end(), [&](const Sequence& door) {
      return !door.any_order && (begins(door, path) || swaps_out(door, path));
    });
  }
  [[nodiscard]] bool is_set(const Path& path) const {
    return std::any_of(doors_.begin(), doors_.end(),
                       [&](const Sequence& door) { return is_part(door, path); });
  }
  [[nodiscard]] bool is_own(const Path& path) const {
    return is_set(path) || std::any_of(doors_.begin(), doors_.end(), [&](const Sequence& door) {
             return !door.any_order && begins(door, path);
           });
  }
  static Path sorted(Path path) {
    std::sort(path.steps.begin(), path.steps.end());
    path.in_any_order = true;
    return path;
  }

  const Way& way_from(const Path& path, const PacketKind& kind) const {
    const auto [known, fresh] = ways_.try_emplace({path, kind});
    if (fresh) known->second = find_way(path, kind);
    return known->second;
  }
  [[nodiscard]] Way find_way(const Path& path, const PacketKind& kind) const {
    Way way;
    const auto next = path.and_then(kind);
    if (is_path(next)) way.forward = next;
    way.own = is_own(next);
    for (const auto& door : doors_) {
      if (door.any_order) continue;
      if (begins(door, next) && next.size() > 1)
        if (const auto shortest = shortest_pause(door.steps); shortest > 0ms) {
          const auto pause = door.steps[next.size() - 1].pause;
          way.least = pause * 3 / 4;
          way.most = pause > 0ms ? pause * 5 / 4 : shortest / 2;
        }
      if (!swaps_out(door, path) || door.steps[path.size() - 1].kind != kind) continue;
      const auto late = path.without_last().and_then(kind);
      way.back = late.and_then(path.steps.back());
      way.reorder = std::max(way.reorder, door.reorder);
      if (!is_own(path)) way.late = late;
    }
    if (!way.forward && is_set(next)) (way.back ? way.late : way.forward) = sorted(next);
    return way;
  }
  [[nodiscard]] Millis within_of(const Path& path) const {
    Millis most{0};
    for (const auto& door : doors_)
      if (passes(door, path)) most = std::max(most, door.within);
    return most;
  }
  [[nodiscard]] std::uint32_t strays_of(const Path& path) const {
    std::uint32_t most = 0;
    for (const auto& door : doors_)
      if (passes(door, path)) most = std::max(most, door.strays);
    return most;
  }
  static bool passes(const Sequence& door, const Path& path) {
    return door.any_order ? is_part(door, path) : begins(door, path) || swaps_out(door, path);
  }
  [[nodiscard]] const Sequence* door_at(const Path& path) const {
    for (const auto& door : doors_)
      if (path.size() == door.steps.size() && (door.any_order ? is_part(door, path) : begins(door, path)))
        return &door;
    return nullptr;
  }
  /// What may follow.
  const std::set<PacketKind>& next_of(const Path& path) const {
    const auto [known, fresh] = next_.try_emplace(path);
    auto& kinds = known->second;
    if (!fresh) return kinds;
    for (const auto& door : doors_)
      for (const auto& step : door.steps)
        if (const auto& way = way_from(path, step.kind); way.forward || way.back) kinds.insert(step.kind);
    return kinds;
  }
  [[nodiscard]] bool is_leaf(const Path& path) const { return next_of(path).empty(); }
  [[nodiscard]] bool counts(const Path& path, const Meaning& meaning) const {
    const auto& next = next_of(path);
    if (next.empty() || looks_of(meaning) == Looks::plain) return !next.empty();
    return std::any_of(next.begin(), next.end(), [&](const PacketKind& kind) {
      return looks_of({kind, false}) == looks_of(meaning);
    });
  }
  [[nodiscard]] bool ended(const Attempt& attempt, Instant now) const {
    return !Clock::within(attempt.first, now, attempt.cooling ? cooloff_ : within_of(attempt.path));
  }

  bool start(Mine& mine, const PacketKind& kind, bool copy, Instant now, bool hit, bool known,
             bool hit_from_path, std::set<std::string>& opened) {
    Path path{{kind}};
    if (!is_path(path)) path.in_any_order = true;
    if ((!is_path(path) && !is_set(path)) || hit_from_path || (copy && known) || (!is_own(path) && hit))
      return false;
    const auto* door = door_at(path);
    if (!opened.empty() && door == nullptr) return false;
    for (auto& slot : mine)
      if (slot && slot->path == path) {
        slot->first = slot->last = now;
        if (door != nullptr && slot->strays <= door->strays) opened.insert(door->name);
        return true;
      }
    auto* place = &mine[0];
    const bool room = std::any_of(mine.begin(), mine.end(), [](const auto& slot) { return !slot; });
    const auto rank =
        [&](const std::optional<Attempt>& slot) { // one that a step just led where its time is over is none
          return !slot || (room && ended(*slot, now)) ? 0 : is_leaf(slot->path) ? 1 : 1 + slot->path.size();
        };
    for (auto& slot : mine) {
      if (rank(slot) > rank(*place)) continue;
      if (rank(slot) < rank(*place) || (rank(slot) != 0 && older(*slot, **place, now))) place = &slot;
    }
    *place = Attempt{path, now, now, 0, false};
    begun_ = place;
    if (door != nullptr) opened.insert(door->name);
    return true;
  }
  static bool older(const Attempt& a, const Attempt& b, Instant now) {
    if constexpr (std::is_same_v<Clock, InTicks>)
      return age(tick_of(now), tick_of(a.first)) > age(tick_of(now), tick_of(b.first));
    const auto gap = a.first < b.first ? b.first - a.first : a.first - b.first;
    if (gap < kTick && gap > Millis{0}) Exact::close = true;
    return a.first < b.first;
  }
  /// Whether a length or a word of that protocol may follow.
  [[nodiscard]] bool awaits_inside(const Path& path, const Meaning& meaning) const {
    const auto& next = next_of(path);
    const bool inside = std::any_of(next.begin(), next.end(),
                                    [](const PacketKind& kind) { return kind.length || !kind.word.empty(); });
    const bool pings =
        std::any_of(next.begin(), next.end(), [](const PacketKind& kind) { return is_ping(kind.port); });
    return inside && (!is_ping(meaning.kind.port) || pings);
  }
  void stray(Mine& mine, const std::set<const std::optional<Attempt>*>& counted, Instant now) {
    bool spent = false;
    for (const auto* slot : counted) spent = spent || (*slot)->strays + 1 > strays_of((*slot)->path);
    if (counted.empty()) return;
    bool cool = spent && cooloff_ > 0ms;
    for (auto& slot : mine) {
      if (!slot || &slot == begun_) continue;
      if (!spent) {
        if (counted.contains(&slot)) ++slot->strays;
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
  std::map<Address, Mine> sources_;
  const std::optional<Attempt>* begun_ = nullptr;           // by this packet, in a place of its own
  mutable std::map<std::pair<Path, PacketKind>, Way> ways_; // found before: only to be faster
  mutable std::map<Path, std::set<PacketKind>> next_;
};

constexpr Port kUdp{Protocol::udp, 5};
constexpr Port kPing = echo_request(Protocol::icmp);

Port tcp_port(unsigned number) {
  return {Protocol::tcp, static_cast<std::uint16_t>(number)};
}

/// Mostly plain ports, few enough that doors share them.
PacketKind random_kind(std::mt19937& random) {
  switch (random() % 12) {
  case 0: return {tcp_port(2), kTcpFin};
  case 1: return {tcp_port(2), kTcpSyn | kTcpFin};
  case 2: return {kUdp};
  case 3: return {kUdp, 0, 3};
  case 4: return {kUdp, 0, {}, "ab"};
  case 5: return {kPing};
  case 6: return {kPing, 0, 4};
  case 7: return {kPing, 0, {}, random() % 2 == 0 ? "abc" : "b"};
  default: return {tcp_port(1 + static_cast<unsigned>(random()) % 4)};
  }
}

std::vector<Sequence> random_doors(std::mt19937& random) {
  std::vector<Sequence> doors;
  const auto count = 1 + random() % 5;
  const bool only_plain = random() % 3 == 0;
  for (std::size_t i = 0; i < count; ++i) {
    auto door = sequence("d" + std::to_string(i), {});
    door.any_order = random() % 4 == 0;
    const bool rhythm = !door.any_order && random() % 4 == 0;
    const auto steps = 1 + random() % 4;
    std::set<PacketKind> taken;
    while (door.steps.size() < steps) {
      const auto kind =
          only_plain ? PacketKind{tcp_port(1 + static_cast<unsigned>(random()) % 5)} : random_kind(random);
      if (door.any_order && !taken.insert(kind).second) continue;
      const bool pause = rhythm && !door.steps.empty() && random() % 2 == 0;
      door.steps.push_back({kind, pause ? std::array<Millis, 2>{200ms, 1s}[random() % 2] : 0ms});
    }
    door.within = std::array<Millis, 4>{1s, 3s, 10s, 120s}[random() % 4];
    door.strays = std::array<std::uint32_t, 4>{0, 1, 3, 14}[random() % 4];
    door.reorder = std::array<Millis, 3>{0ms, 50ms, 200ms}[random() % 3];
    doors.push_back(door);
  }
  for (auto policy = Policy::compile(doors, 0s); !policy; policy = Policy::compile(doors, 0s))
    doors.erase(doors.begin() + static_cast<std::ptrdiff_t>(policy.error().sequence));
  return doors;
}

Millis random_gap(std::mt19937& random) {
  switch (random() % 10) {
  case 0: return Millis{random() % 130'000};
  case 1: return Millis{random() % 4'000};
  case 2: return Millis{random() % 400};
  case 3: return Millis{700 + random() % 600};
  case 4: return Millis{140 + random() % 120};
  default: return Millis{random() % 40};
  }
}

/// Often a packet of some door, else one that may be anything.
PacketKind random_packet(std::mt19937& random, const std::vector<Sequence>& doors) {
  PacketKind sent;
  if (random() % 4 != 0) {
    const auto& steps = doors[random() % doors.size()].steps;
    sent = steps[random() % steps.size()].kind;
  } else {
    sent = random_kind(random);
  }
  if (sent.port.protocol == Protocol::tcp) {
    if (sent.flags == 0) sent.flags = kTcpSyn;
    if (random() % 20 == 0)
      sent.flags = std::array<std::uint8_t, 3>{kTcpAck, kTcpFin, kTcpUrg | kTcpSyn}[random() % 3];
    return sent;
  }
  if (sent.length) sent.word.assign(*sent.length, 'x');
  sent.length.reset();
  if (random() % 8 == 0) sent.word += std::array<const char*, 4>{"", "x", "abc", "b"}[random() % 4];
  return sent;
}

Packet packet_of(const Sent& sent, const Address& source) {
  auto packet = syn(source, sent.looks.port.number, sent.number);
  packet.protocol = sent.looks.port.protocol;
  packet.tcp_flags = sent.looks.flags;
  packet.length = static_cast<std::uint16_t>(sent.looks.word.size());
  packet.payload = std::as_bytes(std::span(sent.looks.word));
  return packet;
}

/// Packets of the same bytes, while both ways of rounding tell them apart alike.
class Copies {
 public:
  /// Whether it is one; nothing where that is not sure.
  std::optional<bool> holds(const Sent& sent, const Meaning& meaning, Instant now) const {
    const auto seen = last_.find({sent.number, meaning});
    if (seen == last_.end()) return false;
    const bool tcp = sent.looks.port.protocol == Protocol::tcp;
    const auto gap = std::chrono::floor<Millis>(now - seen->second);
    if (tcp && gap > 119s && gap < 121s) return std::nullopt;
    return gap <= (tcp ? Millis{120'000} : Millis{5});
  }
  void mark(const Sent& sent, const Meaning& meaning, Instant now) { last_[{sent.number, meaning}] = now; }

 private:
  std::map<std::pair<std::uint32_t, Meaning>, Instant> last_;
};

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
    Copies copies;
    Sent sent{{}, static_cast<std::uint32_t>(random())};
    Exact::close = false;
    for (int i = 0; i < packets; ++i) {
      if (i == 0 || random() % 8 != 0) sent = {random_packet(random, doors), sent.number + 1};
      const auto meaning = oracle.meaning_of(sent.looks);
      auto packet = packet_of(sent, source);
      const auto token = policy.kinds().token_of(packet);
      if (meaning.has_value() != token.has_value()) ++wrong;
      if (!meaning || !token) continue;
      now += random_gap(random); // only where the tracker looks: the clock of a word goes round in 262 s
      if (!copies.holds(sent, *meaning, now)) packet.sequence = ++sent.number;
      const bool copy = copies.holds(sent, *meaning, now).value();
      const auto outcome = tracker.step(policy, packet, *token, now);
      bool marks = false;
      const auto expected = oracle.step(source, *meaning, copy, now, marks);
      if (marks) copies.mark(sent, *meaning, now);
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
  CHECK(mismatches<InTicks>(1, 700 / FEWER, 3'000, opened) == 0);
  CHECK(opened > 20'000 / FEWER);
}

TEST_CASE("in exact times, tracker and oracle differ in roundings alone") {
  std::size_t opened = 0;
  CHECK(mismatches<Exact>(2, 700 / FEWER, 300, opened) == 0);
  CHECK(opened > 1'000 / FEWER);
}
