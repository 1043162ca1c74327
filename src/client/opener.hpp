// SPDX-License-Identifier: GPL-2.0-or-later
/// Opener: the loop around the plan of an opening (knock/opening.hpp): it sends, connects and listens as the plan says.
#pragma once

#include <functional>
#include <list>
#include <optional>

#include <knock/opening.hpp>

#include "client/knocker.hpp"
#include "client/session.hpp"
#include "system/event_loop.hpp"

namespace knock::client {

struct OpenWish {
  Order order;
  bool probe = true;      ///< connect, where there is a port to connect to
  bool share = true;      ///< what another process opened a moment ago is open for this one, too
  bool try_first = false; ///< the same over the last 10 s
};

struct OpenDoor {
  system::Fd connection; ///< that proved it; empty: nothing was to be proved
  std::size_t way = 0;
  bool verified = false;
  Millis took{};
  std::size_t packets = 0;
};

class Opener {
 public:
  /// `stop`: asked whenever something happened; true ends it. Requires: loop and session outlive it.
  Opener(system::EventLoop& loop, Session& session, std::function<bool()> stop);

  /// Until it is open, or the time is over. Errors: as in knockgate(1), ERRORS; nothing (exit 0) when stopped.
  tl::expected<OpenDoor, Failure> open(const OpenWish& wish);

 private:
  struct Try {
    system::Fd fd;
    system::Watch watch;
    std::size_t way = 0;
    unsigned number = 0;
    bool over = false;
  };
  tl::expected<void, Failure> prepare(const OpenWish& wish);
  tl::expected<void, Failure> act(const std::vector<OpeningStep>& steps, const OpenWish& wish);
  tl::expected<Knocker::Did, Failure> knock(const std::vector<OpeningStep>& steps, const OpenWish& wish);
  void connect(const OpeningStep& step);
  void hear(Try& one, Instant now);
  void drop_lost_ways();
  [[nodiscard]] bool opened_a_moment_ago() const;
  tl::expected<OpenDoor, Failure> end(Opening::Outcome outcome, Instant began, Instant now);
  [[nodiscard]] Failure story_of(Opening::Outcome outcome) const;

  system::EventLoop& loop_;
  Session& session_;
  std::function<bool()> stop_;
  std::optional<Opening> plan_;
  std::optional<Knocker> knocker_;
  std::vector<SentStep> steps_; ///< of a door that is opened by its knock
  std::list<Try> tries_;
  system::Fd connection_;
  std::size_t lost_ = 0;
};

} // namespace knock::client
