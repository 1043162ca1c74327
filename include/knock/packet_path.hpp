// SPDX-License-Identifier: GPL-2.0-or-later
/// PacketPath: the way of a reported packet, from its bytes to the sequences that it completed, or to what it asks for as
/// a signed one.
///
///   bytes -> Packet -> Token -> Tracker -> Record, and a count of what became of it
///                  `-> Kn1Path -> Kn1Record
///
/// In:      the reports of one wake-up after another, and the policy.
/// Memory:  the tracker's table; nothing is allocated per packet, as long as `out` has room.
/// Threads: one.
/// Time:    passed in. A report's is the kernel's own, so `within` holds over a stall: of the engine, of the keeper
///          that it waits for, of the machine. What waited longer than 15 s is thrown away and counted (`stale`): a
///          knock opens within 15 s or not. A report without a stamp counts as of the wake-up that read it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <knock/kn1_path.hpp>
#include <knock/policy.hpp>
#include <knock/record.hpp>
#include <knock/tracker.hpp>

namespace knock {

/// Packets by what became of them; under these names in `knockctl --json`.
template<class Number>
struct PacketCounters {
  Number seen{};
  Number stale{};    ///< waited too long to be believed
  Number cut{};      ///< `short`
  Number unparsed{}; ///< fragments, foreign headers
  Number not_step{};
  Number link_local{}; ///< of a source that is no host elsewhere: it can be given nothing
  Number step{};
  Number start{};
  Number stray{};
  Number cooled{};
  Number late{};
  Number repeat{};
  Number evicted{};
  Number contended{};
  Number opened{};
  std::array<Number, kKn1Fates> kn1{}; ///< signed packets, by Kn1Fate
};

using PacketCounts = PacketCounters<std::uint64_t>;

/// What became of one packet.
struct Fate {
  enum class Kind : std::uint8_t { stale, unparsed, not_step, link_local, stepped, kn1 };
  Kind kind = Kind::stale;
  Unparsed reason = Unparsed::none; ///< of `unparsed`
  Packet packet{};                  ///< of all but `stale` and `unparsed`; borrows the bytes
  Outcome outcome{};                ///< of `stepped`
  Kn1Fate signed_fate{};            ///< of `kn1`
};

class PacketPath {
 public:
  /// As Tracker. Before the first policy no packet is a step.
  PacketPath(std::size_t words, const SourceHash::Key& key) : tracker_(words, key) {}

  /// Before the reports of a wake-up: its time, and the same by CLOCK_REALTIME, as stamps are.
  void wake(Instant now, std::chrono::nanoseconds wall);
  /// One report: the packet from its network header on, and when the kernel saw it. Appends what it completed.
  Fate read(std::span<const std::byte> packet, std::optional<std::chrono::nanoseconds> stamp,
            std::vector<Record>& out);
  /// Frees attempts that ended. Returns when to call again; nothing while no source is knocking.
  std::optional<Instant> sweep(Instant now);
  /// Follows `policy` from now on; attempts move to the paths that both policies have.
  void follow(Policy policy);

  /// Opens signed packets with these keys from now on.
  void follow(Kn1Keys keys, Kn1Path::LineOf line_of) { kn1_.follow(std::move(keys), std::move(line_of)); }
  void set_pace(Kn1Path::Pace pace) { kn1_.set_pace(pace); }
  /// What signed packets ask for, since the last call.
  std::vector<Kn1Record>& asked() { return asked_; }
  std::optional<Kn1Refusal> take_refusal() { return kn1_.take_refusal(); }

  /// Counted since the last call.
  PacketCounts take_counts() { return std::exchange(counts_, {}); }
  [[nodiscard]] const Policy& policy() const { return policy_; }
  [[nodiscard]] std::size_t attempts(Instant now) const { return tracker_.attempts(policy_, now); }

 private:
  std::optional<Instant> time_of(std::optional<std::chrono::nanoseconds> stamp);
  void count(const Outcome& outcome);

  Tracker tracker_;
  Policy policy_;
  Kn1Path kn1_;
  std::vector<Kn1Record> asked_;
  PacketCounts counts_;
  Instant now_{};                     // of this wake-up
  std::chrono::nanoseconds wall_{};   // the same
  Instant latest_{};                  // of all reports: time never goes back
  std::optional<Instant> next_sweep_; // absent while no attempt lives: idle means no wake-up
  std::size_t swept_ = 0;             // words of the sweep under way
  std::size_t alive_ = 0;             // found by it
};

} // namespace knock
