// SPDX-License-Identifier: GPL-2.0-or-later
// What others do to our table: it comes back, with what was open and the time that is left of it.
#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include <knock/quoted.hpp>

#include "keeper/keeper.hpp"
#include "system/log.hpp"

namespace knock::keeper {
namespace {

constexpr std::size_t kLarge = 1'024; // elements; the messages of so many overrun no buffer yet
constexpr Millis kTryAgain{1'000}; // what did not load may have been somebody's passing lock or half a reload

} // namespace

/// Listens exactly while there is something of ours to look after.
void Keeper::watch_table(const Config& next) {
  const bool wanted = engine_ != nullptr;
  if (wanted == watch_.has_value()) return;
  table_watch_ = {};
  watch_.reset();
  heal_at_.reset();
  if (!wanted) return;
  auto opened = netlink::TableWatch::open(next.nft.table, next.nft.mode);
  if (!opened)
    return system::log_line(LogLevel::warn,
                            to_string(opened.error()) + "; a removed table comes back with the next grant");
  watch_.emplace(std::move(*opened));
  table_watch_ = loop_.watch(watch_->fd(), [this](Instant now) { heed(now); });
  // A commit of our own socket, so that the watch learns how the kernel numbers us before libnftables
  // commits.
  (void)gate_.commit(next, {{Change::Kind::remove, {Address{}, kNoPort}}});
}

/// Hears all that waits before anything is put back: one removal is healed once, and what somebody took
/// back before it stays closed.
void Keeper::heed(Instant now) {
  if (!watch_) return;
  bool gone = false, unheard = false;
  std::vector<GrantKey> taken_back;
  for (const auto& [broken, set_made, removed, by, overran] : watch_->drain(gate_.port_id())) {
    if (broken) disturber_ = quoted(by); // a process calls itself what it likes
    // In embed mode the sets come back by his hand; until then there is nothing to do.
    if (broken || (config_.nft.mode == Mode::embed && set_made))
      gone = true;
    else if (overran)
      unheard = true;
    else
      taken_back.insert(taken_back.end(), removed.begin(), removed.end());
  }
  if (off_since_) return;
  const auto left_over = forget_removed(taken_back, now);
  if (gone)
    (void)heal(now, disturber_);
  else if (unheard)
    inspect(now);
  if (!left_over.empty()) (void)gate_.commit(config_, left_over);
}

/// After a time in which nothing was heard.
void Keeper::inspect(Instant now) {
  if (const auto intact = gate_.intact(config_, wanted(now)); intact && !*intact) (void)heal(now, "");
}

Result<void> Keeper::commit(const Batch& batch, Instant now) {
  const bool large = watch_ && batch.size() >= kLarge;
  if (large) watch_->pause();
  auto committed = gate_.commit(config_, batch);
  if (!large) return committed;
  watch_->resume();
  if (committed) inspect(now);
  return committed;
}

/// Somebody took grants back by hand. What we put again meanwhile stands.
/// Returns what could not be removed yet, because the table or a set is gone, too.
Batch Keeper::forget_removed(std::vector<GrantKey> removed, Instant now) {
  Batch left_over;
  if (removed.empty()) return left_over;
  for (const auto& event : ledger_.expire(now)) report(event, now);
  std::erase_if(removed, [&](const GrantKey& key) {
    if (!ledger_.has(key)) return true;
    const auto there = gate_.find(config_, {&key, 1});
    return !there || !there->empty();
  });
  for (const auto& key : removed) {
    auto plan = plan_close({.key = key}, "foreign", now);
    if (plan.empty()) continue; // closed with another of its keys
    refresh(plan);
    const auto committed = commit(plan.batch, now);
    if (!committed && committed.error().code != ENOENT) {
      system::log_line(LogLevel::error, to_string(committed.error()));
      continue;
    }
    if (!committed)
      std::copy_if(plan.batch.begin(), plan.batch.end(), std::back_inserter(left_over),
                   [](const Change& change) { return change.comment.empty(); }); // nobody's
    settle(plan, now);
  }
  return left_over;
}

Result<void> Keeper::heal(Instant now, const std::string& by) {
  heal_at_.reset();
  if (const auto until = heals_.paused_until(now)) {
    heal_at_ = *until;
    return tl::unexpected(Error{fmt::format("table inet {} is gone, removed again and again by {}",
                                            config_.nft.table, by.empty() ? "somebody" : by),
                                ENOENT, "run: knockctl reload --now"});
  }
  const auto before = healed_;
  if (flows_) flows_->drain(now);   // a spent use must not come back
  if (healed_ != before) return {}; // what was heard asked for the table, too
  for (const auto& event : ledger_.expire(now)) report(event, now);
  const auto open = ledger_.all(now);
  if (watch_) watch_->pause();
  // One transaction, unless nft would take seconds over its text, or does not take it: then grants follow in a
  // batch of their own. The guard comes back whatever they are.
  bool alone = open.size() >= kLarge;
  auto loaded = gate_.load(config_, wanted(now), alone ? Batch{} : open, {});
  if (!loaded && std::exchange(alone, true) == false) loaded = gate_.load(config_, wanted(now), {}, {});
  if (loaded && alone) loaded = gate_.commit(config_, open);
  if (watch_) watch_->resume();
  if (!loaded && config_.nft.mode == Mode::embed) return loaded; // until his sets are back
  if (!heals_.take(now) || heals_.paused_until(now))
    system::log_line(LogLevel::warn,
                     fmt::format("healed {} times in a minute: a minute's pause; the table is removed by {}",
                                 HealBudget::kMost, by.empty() ? "somebody" : by));
  if (!loaded) {
    system::log_line(LogLevel::error, to_string(loaded.error()));
    heal_at_ = now + kTryAgain;
    return loaded;
  }
  ++healed_;
  if (const auto intact = gate_.intact(config_, wanted(now)); intact && !*intact)
    heal_at_ = now + kTryAgain; // somebody was at it while we did not listen
  system::log_line(
      LogLevel::warn,
      fmt::format("healed by={}: table inet {} was gone, {} back", by.empty() ? "-" : by, config_.nft.table,
                  open.size() == 1 ? "1 element is" : fmt::format("{} elements are", open.size())));
  if (!heal_at_) disturber_.clear();
  return {};
}

} // namespace knock::keeper
