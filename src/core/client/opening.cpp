// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/opening.hpp>

#include <algorithm>
#include <array>

namespace knock {
namespace {

constexpr std::array kKnocks{Millis{0}, Millis{1'000}, Millis{3'000}, Millis{6'000}};
constexpr std::size_t kKnocksUnverified = 3;
constexpr std::array kTries{Millis{20}, Millis{250}, Millis{750}, Millis{2'000}, Millis{4'000}};
// Where answer = "reset", a try before the door is open is refused and does not come again by itself.
constexpr std::array kTriesBehind{Millis{20}, Millis{250}, Millis{750}, Millis{2'000}};
constexpr std::array kTriesFirst{Millis{0}, Millis{250}, Millis{750}};
constexpr Millis kTryFirst{1'000};
constexpr Millis kBetweenPaths{100};
constexpr unsigned kMostYields = 3;
// A SYN without an answer is sent again behind 1 s: what is said to that one was not said before.
constexpr Millis kRepeated{900};
constexpr unsigned kRefusedForSure = 2; // one may have been on its way when the door opened
constexpr Millis kBetweenTries{250};    // of two paths (RFC 8305, 5): the service sees one visitor, mostly
constexpr std::size_t kMostShifted = 3;

} // namespace

Opening::Opening(const OpeningPlan& plan, Instant begin)
    : plan_(plan), begin_(begin), knocking_(begin), paths_(plan.paths) {
  if (plan.try_first) knocking_ = behind_tries(begin);
  for (std::size_t path = 0; path < plan_.paths; ++path) {
    if (verifies())
      for (const auto at : kTriesFirst)
        events_.push_back({at - kTryFirst, {OpeningStep::Kind::connect, path, 0, 0}, true, !plan_.try_first});
    plan_knocks(path);
  }
  std::stable_sort(events_.begin(), events_.end(),
                   [](const Event& one, const Event& other) { return one.at < other.at; });
}

/// A second of connecting comes first; half of the time where less is left, so that a knock goes out.
Instant Opening::behind_tries(Instant now) const {
  return now + std::min<std::chrono::nanoseconds>(kTryFirst, (begin_ + plan_.timeout - now) / 2);
}

bool Opening::verifies() const {
  return plan_.verify == OpeningPlan::Verify::connect || plan_.verify == OpeningPlan::Verify::connect_one;
}

/// The knocks of one path, and what is tried behind each.
void Opening::plan_knocks(std::size_t path) {
  using Verify = OpeningPlan::Verify;
  const auto length = plan_.parts.back() + kBetweenPaths;
  const Millis shift{plan_.again ? length.count() * static_cast<Millis::rep>(path) : 0};
  const Millis all{length.count() * static_cast<Millis::rep>(plan_.paths)};
  std::vector<Millis> begins(kKnocks.begin(), kKnocks.end());
  if (plan_.verify == Verify::no) begins.resize(kKnocksUnverified);
  if (plan_.again) {
    begins.clear();
    for (Millis at{0}; at < plan_.timeout; at += std::max(*plan_.again, all)) begins.push_back(at);
    if (plan_.verify == Verify::no) begins.resize(1);
  }
  if (plan_.verify == Verify::no_once) begins.resize(1);
  // Before the knock: whether a shut door is silent, so that one that refuses then is known to be open.
  if (plan_.verify == Verify::connect && !plan_.again)
    events_.push_back({Millis{0}, {OpeningStep::Kind::connect, path, 0, 0}, true});
  for (unsigned number = 0; number < begins.size(); ++number) {
    const auto from = begins[number] + shift;
    for (std::size_t part = 0; part < plan_.parts.size(); ++part)
      events_.push_back({from + plan_.parts[part], {OpeningStep::Kind::knock, path, number, part}});
    if (verifies()) plan_tries(path, number, from + plan_.parts.back());
  }
}

void Opening::plan_tries(std::size_t path, unsigned knock, Millis behind) {
  const auto add = [&](Millis at, bool if_idle) {
    events_.push_back({at + behind, {OpeningStep::Kind::connect, path, 0, 0}, if_idle});
  };
  const Millis shift{
      plan_.again ? 0 : kBetweenTries.count() * static_cast<Millis::rep>(std::min(path, kMostShifted))};
  if (knock == 0)
    for (const auto at : kTries) add(at + shift, plan_.verify == OpeningPlan::Verify::connect_one);
  else
    for (const auto at : kTriesBehind) add(at + shift, true);
}

std::vector<OpeningStep> Opening::due(Instant now) {
  std::vector<OpeningStep> steps;
  if (outcome(now) != Outcome::pending) return steps;
  for (auto& event : events_) {
    if (event.done || knocking_ + event.at > now) continue;
    event.done = true;
    auto& path = paths_[event.step.path];
    if (path.dropped || (event.if_idle && !path.pending.empty())) continue;
    steps.push_back(event.step);
    if (event.step.kind == OpeningStep::Kind::connect) {
      path.pending.push_back(steps.back().number = path.tries++);
      path.began.push_back(now);
    } else {
      knocked_ = true;
      if (event.step.number > 0 && !knocked_again_) knocked_again_ = now;
    }
  }
  return steps;
}

Instant Opening::next() const {
  auto next = begin_ + plan_.timeout;
  for (const auto& event : events_)
    if (!event.done) next = std::min(next, knocking_ + event.at);
  return next;
}

void Opening::connected(std::size_t path) {
  if (outcome_ != Outcome::pending) return;
  outcome_ = Outcome::open;
  decided_ = path;
}

void Opening::refused(std::size_t path, unsigned number, Instant now) {
  ++refusals_;
  auto& here = paths_[path];
  std::erase(here.pending, number);
  const auto took = now - here.began[number];
  here.slowest = std::max(here.slowest, took);
  const bool silence =
      (!here.pending.empty() && here.pending.front() < number) || here.slowest >= took + kRepeated;
  // What refuses when all is shut is silent, too, when a packet is lost: it is judged behind a second knock.
  const bool judged = plan_.again ? knocked_ : knocked_again_ && here.began[number] >= *knocked_again_;
  if (silence && knocked_) ++here.refused_behind_silence;
  if (judged && silence && here.refused_behind_silence >= kRefusedForSure && outcome_ == Outcome::pending) {
    outcome_ = Outcome::service_refuses;
    decided_ = path;
  }
  const bool idle = std::all_of(paths_.begin(), paths_.end(),
                                [](const Path& one) { return one.dropped || one.pending.empty(); });
  const bool tried = std::none_of(events_.begin(), events_.end(),
                                  [](const Event& one) { return !one.done && one.at < Millis{0}; });
  if (!knocked_ && idle && tried) knocking_ = std::min(knocking_, now); // it is shut, and says so
}

void Opening::failed(std::size_t path, unsigned number) {
  ++silent_;
  std::erase(paths_[path].pending, number);
}

void Opening::drop(std::size_t path) {
  paths_[path].dropped = true;
  paths_[path].pending.clear();
}

bool Opening::may_yield() const {
  return yielded_ < kMostYields && verifies();
}

void Opening::yield(Instant now) {
  ++yielded_;
  knocked_ = false;
  knocking_ = behind_tries(now);
  for (auto& event : events_) event.done = false;
}

Opening::Outcome Opening::outcome(Instant now) const {
  if (outcome_ != Outcome::pending) return outcome_;
  const bool all_done =
      std::all_of(events_.begin(), events_.end(), [](const Event& one) { return one.done; });
  const bool over = now >= begin_ + plan_.timeout;
  if (!verifies() && knocked_ && (all_done || over)) return Outcome::sent;
  const bool lost = std::all_of(paths_.begin(), paths_.end(), [](const Path& one) { return one.dropped; });
  return over || lost ? Outcome::nothing : Outcome::pending;
}

} // namespace knock
