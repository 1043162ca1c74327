// SPDX-License-Identifier: GPL-2.0-or-later
/// Opening: what a client sends and tries, and when, given what came back. A plan alone: it has no socket and no clock.
///
/// In:     how the door is knocked at; times; what each try to connect came to.   Out: what to do now, and how it ended.
/// Use:    do what `due` says, wait until `next` or an answer, tell the answer, until `outcome` is no longer `pending`.
/// Time:   a knock at 0, 1, 3 and 6 s; tries to connect right before the first, and 20, 250, 750 ms, 2 and 4 s behind it,
///         on each further path 250 ms later; where all were refused, more behind each further knock.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <knock/time.hpp>

namespace knock {

/// A path is a pair of one address of the router and one of ours; here it is a number.
struct OpeningPlan {
  std::size_t paths = 1;
  std::vector<Millis> parts{
      Millis{0}}; ///< when each packet of a knock goes, from its begin; one signed packet: at 0
  std::optional<Millis> again{}; ///< of a sequence: when it is sent anew. Paths follow each other then
  enum class Verify : std::uint8_t {
    connect,     ///< a connection that stands proves it
    connect_one, ///< the same; each uses the door up, so one at a time
    no,          ///< nothing can be connected to: knocks at 0, 1 and 3 s
    no_once,     ///< nor may it be knocked at twice
  } verify = Verify::connect;
  bool try_first = false; ///< it was opened from here a moment ago: 1 s of connecting before the first knock
  Millis timeout{10'000};
};

struct OpeningStep {
  enum class Kind : std::uint8_t { knock, connect } kind = Kind::knock;
  std::size_t path = 0;
  unsigned number = 0;  ///< which knock, or which try to connect on this path; the first is 0
  std::size_t part = 0; ///< of a knock
};

class Opening {
 public:
  enum class Outcome : std::uint8_t {
    pending,
    open,
    sent,            ///< all knocks went out; nothing can tell what came of them
    nothing,         ///< the time is over
    service_refuses, ///< silent before the first knock, refused after the second one: open, no service listens
  };

  Opening(const OpeningPlan& plan, Instant begin);

  /// What to do now; each step comes once.
  std::vector<OpeningStep> due(Instant now);
  /// When to ask again, at the latest.
  [[nodiscard]] Instant next() const;

  // Of a try to connect. A path that was dropped has no more steps.
  void connected(std::size_t path);
  void refused(std::size_t path, unsigned number, Instant now);
  void failed(std::size_t path, unsigned number);
  void drop(std::size_t path);
  /// Another process knocked there just now: its knock gets a second to work. The steps of the last `due` come again.
  /// Requires: may_yield(), which is so thrice at most.
  void yield(Instant now);

  [[nodiscard]] bool may_yield() const;

  [[nodiscard]] Outcome outcome(Instant now) const;
  /// Requires: Outcome::open, or service_refuses.
  [[nodiscard]] std::size_t path() const { return decided_; }
  [[nodiscard]] bool has_knocked() const { return knocked_; }
  /// Whether tries came to something, and all were refused.
  [[nodiscard]] bool all_refused() const { return refusals_ > 0 && silent_ == 0; }

 private:
  struct Event {
    Millis at; ///< from the begin of knocking
    OpeningStep step;
    bool if_idle = false; ///< only where no try of this path is under way
    bool done = false;
  };
  struct Path {
    bool dropped = false;
    unsigned tries = 0;
    std::vector<unsigned> pending;       ///< tries under way
    std::vector<Instant> began;          ///< each try
    std::chrono::nanoseconds slowest{0}; ///< that a refusal came
    unsigned refused_behind_silence = 0;
  };

  void plan_knocks(std::size_t path);
  void plan_tries(std::size_t path, unsigned knock, Millis behind);
  [[nodiscard]] bool verifies() const;
  [[nodiscard]] Instant behind_tries(Instant now) const;

  OpeningPlan plan_;
  Instant begin_;             ///< of it all
  Instant knocking_;          ///< when knocks begin
  std::vector<Event> events_; ///< by time
  std::vector<Path> paths_;
  bool knocked_ = false;
  std::optional<Instant> knocked_again_;
  unsigned yielded_ = 0, refusals_ = 0, silent_ = 0;
  std::size_t decided_ = 0;
  Outcome outcome_ = Outcome::pending;
};

} // namespace knock
