// SPDX-License-Identifier: GPL-2.0-or-later
// What others do to our table: it comes back, with what was open and the time that is left of it.
#include <cerrno>

#include <fmt/format.h>

#include "kernel/keeper.hpp"
#include "kernel/log.hpp"

namespace knock::kernel {
namespace {

constexpr std::size_t kLarge = 1'024; // elements; the messages of so many overrun no buffer yet
constexpr Millis kTryAgain{1'000}; // what did not load may have been somebody's passing lock or half a reload

} // namespace

/// Listens exactly while there is something of ours to look after.
void Keeper::watch_table(const Config& next) {
  const bool wanted = engine_ != nullptr;
  if (wanted == watch_.has_value()) return;
  if (watch_) loop_.unwatch(watch_->fd());
  watch_.reset();
  heal_at_.reset();
  if (!wanted) return;
  auto opened = TableWatch::open(next.nft.table, next.nft.mode);
  if (!opened)
    return log_line(LogLevel::warn,
                    to_string(opened.error()) + "; a removed table comes back with the next grant");
  watch_.emplace(std::move(*opened));
  loop_.watch(watch_->fd(), [this](Instant now) { heed(now); });
  // A commit of our own socket, so that the watch learns how the kernel numbers us before libnftables
  // commits.
  (void)gate_.commit(next, {{Change::Kind::remove, {Address{}, kNoPort}}});
}

void Keeper::heed(Instant now) {
  if (!watch_) return;
  for (const auto& [broken, set_made, removed, by, overran] : watch_->drain(gate_.port_id())) {
    const bool embed = config_.nft.mode == Mode::embed;
    if (broken) disturber_ = by;
    if (off_since_) continue;
    // In embed mode the sets come back by his hand; until then there is nothing to do.
    if (broken || (embed && set_made)) {
      (void)heal(now, disturber_);
    } else if (overran) {
      inspect(now);
    } else if (!removed.empty()) {
      forget_removed(removed, now);
    }
  }
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

/// Somebody took a grant back by hand. What we put again meanwhile stands.
void Keeper::forget_removed(const std::vector<GrantKey>& removed, Instant now) {
  for (const auto& event : ledger_.expire(now)) report(event, now);
  for (const auto& key : removed) {
    if (!ledger_.has(key)) continue;
    const auto there = gate_.find(config_, {&key, 1});
    if (!there || !there->empty()) continue;
    push(ledger_.plan_close({.key = key}, "foreign", now), now);
  }
}

Result<void> Keeper::heal(Instant now, const std::string& by) {
  heal_at_.reset();
  if (const auto until = heals_.paused_until(now)) {
    heal_at_ = *until;
    return tl::unexpected(Error{fmt::format("table inet {} is gone, removed again and again by {}",
                                            config_.nft.table, by.empty() ? "somebody" : by),
                                ENOENT, "run: knockctl reload --now"});
  }
  if (flows_) flows_->drain(now); // a spent use must not come back
  for (const auto& event : ledger_.expire(now)) report(event, now);
  const auto open = ledger_.all(now);
  if (watch_) watch_->pause();
  // One transaction, unless nft would take seconds over its text: then grants follow in a batch of their own.
  const bool large = open.size() >= kLarge;
  auto loaded = gate_.load(config_, wanted(now), large ? Batch{} : open, {});
  if (loaded && large) loaded = gate_.commit(config_, open);
  if (watch_) watch_->resume();
  if (!loaded && config_.nft.mode == Mode::embed) return loaded; // until his sets are back
  if (!heals_.take(now) || heals_.paused_until(now))
    log_line(LogLevel::warn,
             fmt::format("healed {} times in a minute: a minute's pause; the table is removed by {}",
                         HealBudget::kMost, by.empty() ? "somebody" : by));
  if (!loaded) {
    log_line(LogLevel::error, to_string(loaded.error()));
    heal_at_ = now + kTryAgain;
    return loaded;
  }
  ++healed_;
  if (const auto intact = gate_.intact(config_, wanted(now)); intact && !*intact)
    heal_at_ = now + kTryAgain; // somebody was at it while we did not listen
  log_line(LogLevel::warn, fmt::format("healed by={}: table inet {} was gone, {} elements are back",
                                       quoted(by.empty() ? "-" : by), config_.nft.table, open.size()));
  if (!heal_at_) disturber_.clear();
  return {};
}

} // namespace knock::kernel
