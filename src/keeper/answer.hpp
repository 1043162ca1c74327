// SPDX-License-Identifier: GPL-2.0-or-later
/// Answer: what a client of the control socket is sent, and the Snapshot that answers many with one text.
///
/// Memory:  datagrams are shared by all clients that get the same: 64 readers of a long status hold it once.
/// Threads: one. Time is passed in; only what a text costs is measured.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <knock/control.hpp>
#include <knock/time.hpp>

namespace knock::keeper {

using Datagrams = std::shared_ptr<const std::vector<std::string>>;

struct Answer {
  Datagrams datagrams; ///< null: not yet
  Instant again{};     ///< when to ask again, then

  Answer(Datagrams shared) : datagrams(std::move(shared)) {}
  Answer(const Reply& reply) : datagrams(std::make_shared<const std::vector<std::string>>(encode(reply))) {}
  static Answer not_before(Instant at);
};

/// A text that is expensive to make, for all clients that ask. It is never older than the question, with one
/// exception: texts are made in a tenth of the time at most, and a client that has waited a second for the
/// next one gets the last one.
class Snapshot {
 public:
  using Make = std::function<std::vector<std::string>()>;
  using Clock = Instant (*)();
  static constexpr int kTenth = 10;
  static constexpr Millis kPatience{1'000};

  explicit Snapshot(Clock clock) : clock_(clock) {}

  /// For a question of `asked`. Requires: `make` knows of all that happened until `now`.
  Answer answer(Instant asked, Instant now, const Make& make);
  /// A request changed something: the next answer shows it, whatever that costs.
  void outdate() { datagrams_.reset(); }

 private:
  Clock clock_;
  Datagrams datagrams_;
  Instant made_{};
  Instant next_{}; // not before
};

} // namespace knock::keeper
