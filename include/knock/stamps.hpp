// SPDX-License-Identifier: GPL-2.0-or-later
/// Stamps: which time stamps of each key were accepted, so that no packet of it counts twice.
///
///   StampLine   one key: a floor and the seven greatest stamps above it (stamp_file.hpp)
///   Ceilings    what outlives a boot: beyond which stamps a key begins behind it. The state file kn1.ceiling
///   Stamps      all keys, by one owner: test and acceptance are one step
///
/// A stamp is a time of the epoch in nanoseconds, or of a key without a clock a counter.
/// Errors:  a stamp is refused with its reason; a refused one changes nothing.
/// Threads: one. Time: passed in.
/// Source:  knockgate-kn1(7), clocks and replay.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <knock/stamp_file.hpp>
#include <knock/time.hpp>

namespace knock {

inline constexpr Stamp kStampPast = 120'000'000'000;   // ns: so far a packet may lag behind our clock
inline constexpr Stamp kStampAhead = 30'000'000'000;   // ns: so far a client's clock may be fast
inline constexpr Stamp kStampReserve = 60'000'000'000; // ns: a ceiling on disk is good for so long

/// CLOCK_REALTIME, and whether it can be believed: the kernel called it synchronised since boot.
struct WallClock {
  Stamp now = 0;
  bool good = false;
};

/// Whether the time fits, for a stamp of a clock.
Freshness in_window(Stamp stamp, const WallClock& clock);
/// What engine and keeper say of a stamp: seen before; then the window, if the clock is good; then the floor.
Freshness judge(const StampLine& line, Stamp stamp, const WallClock& clock);
Moment moment_of(Stamp stamp);

/// What is on disk, written only on use.
struct Ceilings {
  struct Key {
    Stamp stamp = 0;            ///< accepted while the clock was not good, or of a counter; 0: none
    std::uint32_t openings = 0; ///< how often it opened
    bool operator==(const Key&) const = default;
  };
  Stamp router = 0; ///< beyond all stamps that were accepted while the clock was good
  std::map<kn1::Kid, Key> keys{};
  bool operator==(const Ceilings&) const = default;
};
std::string encode_ceilings(const Ceilings& ceilings);
/// Nothing for a text that is not ours.
std::optional<Ceilings> parse_ceilings(std::string_view text);

class Stamps {
 public:
  struct Key {
    kn1::Kid kid{};
    bool counter = false; ///< without a clock
    bool known = true;    ///< it was there before we were: packets of it may have been seen
    bool limited = false; ///< it opens so often, and no more
    auto operator<=>(const Key&) const = default;
  };

  /// After a start. `ceilings`: nothing when there is no such file. `counted`: keys whose openings must be in it.
  void recall(StampRun run, std::optional<Ceilings> ceilings, std::set<kn1::Kid> counted = {});
  /// These keys, and no other. A new one begins at its floor.
  void follow(std::span<const Key> keys, const WallClock& clock);
  /// Notes when the clock becomes good; then keys that opened nothing since the boot begin behind it.
  void watch(const WallClock& clock);

  [[nodiscard]] Freshness judge(const kn1::Kid& kid, Stamp stamp, const WallClock& clock) const;
  /// Requires: fresh. `closes`: nothing older counts from here on.
  void accept(const kn1::Kid& kid, Stamp stamp, bool closes);
  /// One opening more of `kid`.
  void count_opening(const kn1::Kid& kid);
  /// It came to nothing.
  void return_opening(const kn1::Kid& kid);
  [[nodiscard]] std::uint32_t openings(const kn1::Kid& kid) const;
  /// The admin says that the clock is right, though it is behind what was accepted before.
  void accept_clock(const WallClock& clock);

  [[nodiscard]] bool is_good() const { return run_good_since_ != 0; }
  /// Whether the clock is so far behind what was accepted that it must have been set back.
  [[nodiscard]] bool is_behind(const WallClock& clock) const;
  /// The later of the clock and what was accepted: an end by date is not undone by a wrong clock.
  [[nodiscard]] Stamp latest(const WallClock& clock) const;
  [[nodiscard]] std::optional<std::uint32_t> slot_of(const kn1::Kid& kid) const;

  /// Lines that changed since the last call, to be written before what was asked for is done.
  std::vector<StampMark> take_marks();
  [[nodiscard]] Stamp good_since() const { return run_good_since_; }
  [[nodiscard]] const Ceilings& ceilings() const { return ceilings_; }
  /// Whether the ceilings must be on disk before what was asked for is done; until they are.
  [[nodiscard]] bool is_urgent() const { return urgent_; }
  void note_written() { urgent_ = false; }

 private:
  struct Held {
    std::uint32_t slot = 0;
    StampLine line{};
    bool counter = false;
    bool used = false; ///< something was accepted; behind a close its line does not say so
    bool lost = false; ///< what has to outlive boots is not in the ceilings
  };

  [[nodiscard]] Held held_for(const Key& key) const;
  [[nodiscard]] Stamp floor_of(const kn1::Kid& kid, bool counter) const;

  std::map<kn1::Kid, Held> keys_;
  std::map<kn1::Kid, StampMark> recalled_; // of kn1.run, until `follow`
  std::set<kn1::Kid> counted_;             // what is not in the ceilings of these was lost
  std::map<kn1::Kid, StampLine> gone_;     // of this boot: a file that is back brings no packet back
  std::set<kn1::Kid> changed_;
  Stamp run_good_since_ = 0;
  Ceilings ceilings_;
  bool has_ceilings_ = false; // there was a file
  bool urgent_ = false;
};

} // namespace knock
