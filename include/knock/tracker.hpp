// SPDX-License-Identifier: GPL-2.0-or-later
/// Tracker: how far each source has come in each sequence.
///
/// In:      a packet, its token and the policy (policy.hpp).   Out: what it completed, or how far it came.
/// Memory:  fixed at construction: 8 bytes an attempt, plus 128 KiB to know copies. A full bucket forgets its
///          oldest first-stepper; a source has at most four attempts, of which the shortest is forgotten first.
/// Threads: every operation but `carry_over` is lock-free, from any thread; an attempt is one word.
/// Time:    passed in, never read here. One word's clock spans 262 s, so sweep at least every 120 s.
///
/// A port scan opens a door of n steps with p <= w C(s+n-1, n-1) / (65,535 - f)^(n-1), where s strays are
/// allowed, f other doors begin, and w orders are accepted: 1 without reorder, else 2, 3, 5, 8 for n = 2..5.
/// With s = 12 and reorder: n = 3 6e-8, n = 4 8e-12. Where strays go unreported it is w / n!: a half for n
/// = 3.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include <knock/packet.hpp>
#include <knock/policy.hpp>
#include <knock/source_hash.hpp>
#include <knock/ticks.hpp>
#include <knock/time.hpp>

namespace knock {

/// At which nodes, for who explains it. A greater number is no nearer to the root.
struct Whereabouts {
  NodeId node = 0;         ///< the furthest that a step reached, or that a stray was counted at
  NodeId left = 0;         ///< the furthest of the attempts that ended
  std::uint8_t strays = 0; ///< counted at `node`, this one among them
  bool off_beat = false;   ///< an attempt ended because a gap was too short or too long

  void stray_at(NodeId at, unsigned count) {
    if (at < node) return;
    node = at;
    strays = static_cast<std::uint8_t>(count);
  }
};

/// What one packet did. Several may be true: it can end one attempt and begin another.
struct Outcome {
  static constexpr std::size_t kMaxOpened = 5; // four attempts of a source, and a start

  std::array<std::uint16_t, kMaxOpened> opened{}; ///< sequences completed: index into Policy's endings
  std::uint8_t opened_count = 0;
  std::uint8_t steps = 0;   ///< attempts that came one step on
  std::uint8_t ended = 0;   ///< attempts found to have run out of time, or out of their rhythm
  std::uint8_t evicted = 0; ///< attempts lost to another source, or of others for this one
  bool cooling = false;     ///< the source is being ignored
  bool cooled = false;      ///< it is from now on: its stray budget is spent
  bool known = false;       ///< a retransmit, or a step of a sequence that is already further
  bool started = false;
  bool stray = false;
  bool contended = false; ///< no place was won in eight tries
  Whereabouts where{};

  void end(NodeId node) {
    ++ended;
    where.left = std::max(where.left, node);
  }
  [[nodiscard]] std::span<const std::uint16_t> completed() const { return {opened.data(), opened_count}; }
};

class Tracker {
 public:
  /// `words`: 2^19..2^24, a power of 2. `key`: secret, or an attacker could fill a victim's bucket.
  /// Every page is touched: nothing faults later.
  Tracker(std::size_t words, const SourceHash::Key& key);

  /// Progress: wait-free; at most 8 loads, 4 CAS on the source's own words, 8 tries for a place.
  Outcome step(const Policy& policy, const Packet& packet, Token token, Instant now) noexcept;

  /// Frees what has ended in words `from` to `from + count`. Returns how many live.
  std::size_t sweep(const Policy& policy, Instant now, std::size_t from, std::size_t count) noexcept;
  /// Attempts alive now, those of ignored sources not counted. Reads the whole table: 1 ms per 4 MiB.
  [[nodiscard]] std::size_t attempts(const Policy& policy, Instant now) const noexcept;
  /// Moves attempts to the nodes of a new policy: `map` is Policy::carry_over. Requires: no step meanwhile.
  void carry_over(std::span<const NodeId> map) noexcept;

  [[nodiscard]] std::size_t size() const { return bucket_count_ * kBucket; }

 private:
  static constexpr std::size_t kBucket = 8; // words of a cache line
  static constexpr std::size_t kCopies = 1U << 14U;

  using Word = std::atomic<std::uint64_t>;
  struct alignas(64) Bucket {
    std::array<Word, kBucket> words;
  };
  class Step;

  [[nodiscard]] bool is_copy(std::uint64_t fingerprint, Protocol protocol, Instant now) const noexcept;
  void remember(std::uint64_t fingerprint, Instant now) noexcept;

  std::size_t bucket_count_;
  SourceHash hash_;
  std::unique_ptr<Bucket[]> buckets_;
  std::unique_ptr<Word[]> copies_; // fingerprint << 32 | ms clock
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

} // namespace knock
