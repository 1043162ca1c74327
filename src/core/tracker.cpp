// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/tracker.hpp>

#include <algorithm>
#include <bit>

#include <knock/result.hpp>

#include "attempt_word.hpp"

namespace knock {
namespace {

constexpr int kPlaceTries = 8;
constexpr std::size_t kMaxMine = 4;
constexpr Millis kDatagramCopy{5}; // a switch or driver doubles at once; later the same bytes are a new knock
constexpr Millis kTcpCopy{120'000}; // retransmits of one SYN back off up to this

std::uint32_t clock_ms(Instant now) {
  return static_cast<std::uint32_t>(std::chrono::floor<Millis>(now.time_since_epoch()).count());
}

} // namespace

Tracker::Tracker(std::size_t words, const SourceHash::Key& key)
    : bucket_count_(words / kBucket), hash_(static_cast<unsigned>(std::countr_zero(words / kBucket)), key),
      buckets_(std::make_unique<Bucket[]>(bucket_count_)), copies_(std::make_unique<Word[]>(kCopies)) {
  KNOCK_ASSERT(std::has_single_bit(words) && words >= 1U << 19U && words <= 1U << 24U);
}

// The copy table is a hint: a lost or torn hint makes a retransmit a step, no more. Relaxed is enough.
bool Tracker::is_copy(std::uint64_t fingerprint, Protocol protocol, Instant now) const noexcept {
  const auto seen = copies_[fingerprint % kCopies].load(std::memory_order_relaxed);
  const auto valid = protocol == Protocol::tcp ? kTcpCopy : kDatagramCopy;
  const auto ms = static_cast<std::uint32_t>(clock_ms(now) - static_cast<std::uint32_t>(seen));
  return seen >> 32U == (fingerprint >> 32U | 1U) && ms <= static_cast<std::uint32_t>(valid.count());
}

void Tracker::remember(std::uint64_t fingerprint, Instant now) noexcept {
  copies_[fingerprint % kCopies].store((fingerprint >> 32U | 1U) << 32U | clock_ms(now),
                                       std::memory_order_relaxed);
}

/// One packet on its way through the rules. Lives on the stack.
///   1 a source that cools off is not heard
///   2 each of its attempts takes the edge that fits: own step, swap back, swap out (only if no other hit); one whose
///     gap is wrong ends
///   3 no edge, but a step the attempt already took: known, a retransmit or a neighbour's knock
///   4 a reached leaf waits for late retransmits of its steps until its time is over
///   5 a first step begins an attempt, or the one that stands there anew; unless it served one on whose path it lies,
///     completed a sequence, or is a known copy
///   6 what did nothing of this is a stray, and so is a wrong length or word to who waits for one; a spent budget cools
///     the source off
class Tracker::Step {
 public:
  Step(const Policy& policy, Bucket& bucket, std::uint32_t tag, Token token, Ticks now, bool copy, bool miss)
      : policy_(policy), bucket_(bucket), tag_(tag), token_(token), now_(now), copy_(copy),
        miss_(miss && !copy) {}

  Outcome run() {
    snapshot();
    if (out_.cooling) return out_;
    for (std::size_t i = 0; i < mine_count_; ++i) advance(mine_[i]);
    swap_out();
    start();
    if (miss_ || (out_.steps == 0 && !out_.known && !out_.started)) stray();
    return out_;
  }

 private:
  struct Mine {
    std::size_t slot;
    Attempt attempt;     ///< as it stands now; node 0 = gone
    NodeId swap_out = 0; ///< where a swap-out edge leads, taken only if nothing else hits
    bool moved = false;
  };

  void snapshot() {
    for (std::size_t slot = 0; slot < kBucket; ++slot) {
      // Acquire pairs with the release of the CAS that wrote the word; nothing hangs off it.
      const auto word = bucket_.words[slot].load(std::memory_order_acquire);
      if (word == 0 || tag_of(word) != tag_) continue;
      const auto attempt = unpack(word);
      if (has_ended(policy_, attempt, now_)) {
        if (replace(slot, word, 0) && attempt.node != kCooling && !policy_.node(attempt.node).leaf)
          out_.end(attempt.node);
      } else if (attempt.node == kCooling) {
        out_.cooling = true;
      } else if (mine_count_ < mine_.size()) {
        mine_[mine_count_++] = {slot, attempt};
      }
    }
  }

  bool replace(std::size_t slot, std::uint64_t expected, std::uint64_t word) {
    return bucket_.words[slot].compare_exchange_strong(expected, word, std::memory_order_acq_rel,
                                                       std::memory_order_acquire);
  }

  /// Rules 2 to 4.
  void advance(Mine& mine) {
    const bool on_path = policy_.on_path(mine.attempt.node, token_);
    const auto* edge = policy_.edge(mine.attempt.node, token_);
    if (edge != nullptr && !(on_path && copy_)) {
      const auto gap = age(now_, last_tick(mine.attempt));
      const auto& gaps = policy_.gaps(*edge);
      if (edge->forward != 0 && !edge->out && gap >= gaps.least && gap <= gaps.most)
        return move(mine, edge->forward, on_path);
      if (edge->back != 0 && gap <= gaps.reorder) return move(mine, edge->back, on_path);
      if (edge->late != 0) return move(mine, edge->late, on_path, policy_.is_first_step(edge->late));
      if (edge->forward != 0 && !edge->out) return end(mine);
      if (edge->forward != 0) {
        mine.swap_out = edge->forward;
        return;
      }
    }
    out_.known = out_.known || on_path;
  }

  /// Its rhythm is wrong.
  void end(Mine& mine) {
    if (replace(mine.slot, pack(tag_, mine.attempt), 0))
      out_.end(mine.attempt.node);
    else
      ++out_.evicted;
    out_.where.off_beat = true;
    mine.attempt.node = 0;
    out_.known = true;
  }

  void swap_out() {
    const bool hit = out_.steps != 0;
    for (std::size_t i = 0; i < mine_count_; ++i) {
      auto& mine = mine_[i];
      if (mine.swap_out == 0) continue;
      if (hit)
        out_.known = true;
      else
        move(mine, mine.swap_out, policy_.on_path(mine.attempt.node, token_));
    }
  }

  /// The CAS that reaches a door's node is the one that opens.
  void move(Mine& mine, NodeId to, bool from_path, bool anew = false) {
    const auto old = pack(tag_, mine.attempt);
    Attempt next = mine.attempt;
    next.node = to;
    if (anew) next = {to, now_, 0, next.strays};
    next.span = age(now_, next.first);
    const auto& node = policy_.node(to);
    const bool opens = node.ending != 0 && in_limits(next, policy_.ending(node));
    const bool gone = node.ending != 0 && !opens && node.leaf;
    if (!replace(mine.slot, old, gone ? 0 : pack(tag_, next))) {
      mine.attempt.node = 0; // evicted meanwhile: to run the packet again would count it twice
      ++out_.evicted;
      return;
    }
    mine.attempt = next;
    mine.moved = true;
    if (gone) mine.attempt.node = 0;
    ++out_.steps;
    out_.where.node = std::max(out_.where.node, to);
    hit_from_path_ = hit_from_path_ || from_path;
    if (opens) open(node.ending);
  }

  static bool in_limits(const Attempt& attempt, const Ending& ending) {
    return attempt.span <= ending.within && attempt.strays <= ending.strays;
  }

  void open(std::uint16_t ending) {
    const auto sequence = static_cast<std::uint16_t>(ending - 1U);
    const auto done = out_.completed();
    if (std::find(done.begin(), done.end(), sequence) == done.end())
      out_.opened[out_.opened_count++] = sequence;
  }

  /// Rule 5.
  void start() {
    const auto* edge = policy_.edge(0, token_);
    if (edge == nullptr || hit_from_path_ || (copy_ && out_.known) || (edge->out && out_.steps != 0)) return;
    const auto& node = policy_.node(edge->forward);
    if (out_.opened_count != 0 && node.ending == 0) return;
    for (std::size_t i = 0; i < mine_count_; ++i)
      if (mine_[i].attempt.node == edge->forward) return begin_anew(mine_[i]);
    Attempt attempt;
    attempt.node = edge->forward;
    attempt.first = now_;
    for (int tries = 0; tries < kPlaceTries; ++tries) {
      if (!place(pack(tag_, attempt))) continue;
      out_.started = true;
      if (node.ending != 0) open(node.ending);
      return;
    }
    out_.contended = true;
  }

  /// The first step again: a retry has all its time. Its strays stay, or a scan could knock between two steps.
  void begin_anew(Mine& mine) {
    Attempt next = mine.attempt;
    next.first = now_;
    next.span = 0;
    if (!replace(mine.slot, pack(tag_, mine.attempt), pack(tag_, next))) {
      ++out_.evicted;
      return;
    }
    mine.attempt = next;
    out_.started = true;
    const auto& node = policy_.node(next.node);
    if (node.ending != 0 && in_limits(next, policy_.ending(node))) open(node.ending);
  }

  /// The greatest is forgotten first.
  enum Rank : std::uint8_t { any = 1, first_stepper, cooling, nothing };
  // Of the source's own attempts, likewise: a reached leaf, then the one with the fewest steps. Others are kept.
  static constexpr std::uint8_t kForeign = 0, kOwnMost = 64, kOwnLeaf = 255;

  [[nodiscard]] std::uint8_t rank(std::uint64_t word, bool own_only) const {
    if (own_only) {
      if (word == 0 || tag_of(word) != tag_) return kForeign;
      const auto attempt = unpack(word);
      if (attempt.node != kCooling && policy_.node(attempt.node).leaf) return kOwnLeaf;
      return static_cast<std::uint8_t>(kOwnMost - policy_.depth(attempt.node));
    }
    if (word == 0) return nothing;
    const auto attempt = unpack(word);
    if (has_ended(policy_, attempt, now_)) return nothing;
    if (attempt.node == kCooling) return cooling;
    return policy_.is_first_step(attempt.node) ? first_stepper : any;
  }

  bool place(std::uint64_t word) {
    std::array<std::uint64_t, kBucket> now_there{};
    std::size_t own = 0;
    for (std::size_t slot = 0; slot < kBucket; ++slot) {
      now_there[slot] = bucket_.words[slot].load(std::memory_order_acquire);
      own += now_there[slot] != 0 && tag_of(now_there[slot]) == tag_ ? 1U : 0U;
    }
    std::size_t victim = 0;
    std::uint8_t best = 0;
    Ticks best_age = 0;
    for (std::size_t slot = 0; slot < kBucket; ++slot) {
      const auto at = rank(now_there[slot], own >= kMaxMine);
      const auto ticks =
          now_there[slot] == 0 || at == nothing ? Ticks{0} : age(now_, unpack(now_there[slot]).first);
      if (at < best || (at == best && ticks <= best_age)) continue;
      victim = slot;
      best = at;
      best_age = ticks;
    }
    KNOCK_ASSERT(best != 0);
    const auto lost = now_there[victim];
    if (!replace(victim, lost, word)) return false;
    for (std::size_t i = 0; i < mine_count_; ++i)
      if (mine_[i].slot == victim) mine_[i].attempt.node = 0;
    if (lost != 0 && best != kOwnLeaf && !has_ended(policy_, unpack(lost), now_)) ++out_.evicted;
    return true;
  }

  /// A packet with the port of a step, but not its length or word, is a guess, whatever else it is to other attempts.
  [[nodiscard]] bool is_stray(const Mine& mine) const {
    const auto& node = policy_.node(mine.attempt.node);
    if (miss_ && !mine.moved && node.inside && (sort_of(token_) != Sort::ping || node.pings)) return true;
    return out_.steps == 0 && !out_.known && !out_.started && Policy::counts(node, token_);
  }

  /// Rule 6.
  void stray() {
    bool spent = false;
    for (std::size_t i = 0; i < mine_count_; ++i) {
      const auto& attempt = mine_[i].attempt;
      const auto& node = policy_.node(attempt.node);
      if (attempt.node == 0 || !is_stray(mine_[i])) continue;
      out_.stray = true;
      out_.where.stray_at(attempt.node, attempt.strays + 1U);
      spent = spent || attempt.strays + 1U > node.strays;
    }
    if (!out_.stray) return;
    bool cool = spent && policy_.cooloff() > 0;
    for (std::size_t i = 0; i < mine_count_; ++i) {
      auto& slot = mine_[i].slot;
      auto& attempt = mine_[i].attempt;
      if (attempt.node == 0 || (!spent && !is_stray(mine_[i]))) continue;
      const auto old = pack(tag_, attempt);
      std::uint64_t next = 0;
      if (!spent) {
        ++attempt.strays;
        next = pack(tag_, attempt);
      } else if (cool) {
        next = pack(tag_, {kCooling, now_, 0, kCoolingStrays});
      }
      const bool done = replace(slot, old, next);
      if (!done) ++out_.evicted;
      if (done && cool) {
        cool = false;
        out_.cooled = true;
      }
    }
  }

  const Policy& policy_;
  Bucket& bucket_;
  std::uint32_t tag_;
  Token token_;
  Ticks now_;
  bool copy_;
  bool miss_;
  bool hit_from_path_ = false;
  std::array<Mine, kMaxMine> mine_{};
  std::size_t mine_count_ = 0;
  Outcome out_;
};

Outcome Tracker::step(const Policy& policy, const Packet& packet, Token token, Instant now) noexcept {
  const auto source = hash_.identify(packet.source);
  const auto print = hash_.fingerprint(source, packet, token);
  const bool copy = is_copy(print, packet.protocol, now);
  Step step(policy, buckets_[source.bucket], source.tag, token, tick_of(now), copy,
            policy.kinds().misses(packet, token));
  const auto outcome = step.run();
  if (outcome.steps != 0 || outcome.started) remember(print, now);
  return outcome;
}

} // namespace knock
