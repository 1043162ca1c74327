// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/table.hpp"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include <knock/quoted.hpp>

namespace knock::keeper {
namespace {

constexpr Millis kLoadAgain{1'000}; // what did not load may have been a passing lock, or half a reload
constexpr Millis kTrialSlack{
    10'000}; // a load of a busy machine; a trial that another prolonged would lock out

} // namespace

void Table::hear(const Disturbance& disturbance, Mode mode, bool needed) {
  if (disturbance.broken || disturbance.changed)
    by_ = last_by_ = in_quotes(disturbance.by); // a process calls itself what it likes
  // In embed mode the sets come back by the admin's hand; until then there is nothing to do.
  const bool loses = disturbance.broken || (mode == Mode::embed && disturbance.set_made);
  doubted_ = doubted_ || disturbance.overran || disturbance.changed;
  if (loses)
    lose(needed);
  else if (!disturbance.overran)
    removed_.insert(removed_.end(), disturbance.removed.begin(), disturbance.removed.end());
}

void Table::lose(bool needed) {
  lost_ = true;
  wrong_ = wrong_ || needed;
  doubted_ = doubted_ || !needed;
  not_before_.reset();
}

bool is_as_wanted(const TableSeen& seen, const StaticSets& wanted) {
  return seen.there && seen.as_loaded &&
         std::equal(seen.guarded.begin(), seen.guarded.end(), wanted.guarded.begin(), wanted.guarded.end(),
                    [](const Guarded& a, const Guarded& b) { // a trial with another end is another thing
                      if (a.port != b.port || !a.left || !b.left) return a == b;
                      return std::chrono::abs(*a.left - *b.left) <= kTrialSlack;
                    });
}

void Table::look(bool intact, bool needed) {
  doubted_ = false;
  if (!intact && needed) return lose();
  wrong_ = !intact || (needed && lost_); // lost, what it waits for may have come unheard
  if (!wrong_) {
    by_.clear();
    error_.reset();
  }
  not_before_.reset();
}

bool Table::heals(Instant now) const {
  return wrong_ && pace_.next(now) <= now && (!not_before_ || *not_before_ <= now);
}

Error Table::absence(const std::string& table) const {
  return {fmt::format("table inet {} is gone, removed by {}", table, fight({}).by), ENOENT,
          "run: knockctl reload --now"};
}

std::vector<Line> Table::settle_heal(const std::optional<Error>& error, std::size_t elements,
                                     bool with_elements, const Config& config, Instant now) {
  std::vector<Line> lines;
  if (error && with_elements && !apart_) {
    apart_ = true; // the guard comes back whatever the elements are
    return lines;
  }
  if (error)
    return fail(*error, now, error->code == ENOENT && config.nft.mode == Mode::embed); // the admin's sets
  pace_.take(now);
  ++healed_;
  const bool fought = pace_.wait(now) != Millis{0};
  if (fought && !std::exchange(paced_, fought))
    lines.push_back(
        {LogLevel::warn,
         fmt::format("two writers fight over table inet {}: {} changes it, knockgated puts it back; from "
                     "now at most once a second",
                     config.nft.table, fight(now).by)});
  paced_ = fought;
  lines.push_back({LogLevel::warn,
                   fmt::format("healed by={}: table inet {} was gone or changed, {} back",
                               by_.empty() ? "-" : by_, config.nft.table,
                               elements == 1 ? "1 element is" : fmt::format("{} elements are", elements))});
  lost_ = wrong_ = false;
  error_.reset();
  doubted_ = true; // nothing was heard during the load
  apart_ = false;
  not_before_.reset();
  by_.clear();
  return lines;
}

std::vector<Line> Table::fail(const Error& error, Instant now, bool others) {
  std::vector<Line> lines;
  if (!error_ || to_string(*error_) != to_string(error)) lines.push_back({LogLevel::error, to_string(error)});
  error_ = error;
  not_before_ = others ? Instant::max() : now + kLoadAgain;
  return lines;
}

void Table::settle_load() {
  lost_ = wrong_ = false;
  error_.reset();
  apart_ = false;
  by_.clear();
  pace_ = {};
  not_before_.reset();
}

void Table::forget() {
  settle_load();
  doubted_ = false;
  removed_.clear();
}

std::vector<GrantKey> Table::take_removed(std::size_t most) {
  const auto end = removed_.begin() + static_cast<std::ptrdiff_t>(std::min(most, removed_.size()));
  std::vector<GrantKey> taken(removed_.begin(), end);
  removed_.erase(removed_.begin(), end);
  return taken;
}

std::optional<Instant> Table::next(Instant now) const {
  if (doubted_) return now;
  if (!wrong_) return std::nullopt;
  if (not_before_ == Instant::max()) return std::nullopt;
  return std::max(pace_.next(now), not_before_.value_or(now));
}

} // namespace knock::keeper
