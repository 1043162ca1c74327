// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/draft.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <set>

namespace knock::keeper {
namespace {

using SetOfFamily = std::pair<GrantSet, Family>;

SetOfFamily set_of(const GrantKey& key) {
  return {key.set, key.source.family};
}

/// By set, the first key that had no place: a new key behind it in the batch has none either.
using Full = std::map<SetOfFamily, GrantKey>;

bool is_behind(const Draft::Part& part, const Full& full) {
  return std::any_of(part.undo.elements.begin(), part.undo.elements.end(), [&](const auto& element) {
    const auto first = full.find(set_of(element.first));
    return !element.second && first != full.end() && first->second < element.first;
  });
}

} // namespace

void Draft::add(Ledger& ledger, Plan plan, JobId job) {
  if (plan.empty() && plan.events.empty()) return;
  for (const auto& change : plan.batch) {
    const auto [at, fresh] = changes_.try_emplace(change.key, change);
    if (fresh) continue;
    const auto held = at->second.held; // where the kernel's element leads is what the first of them saw
    at->second = change;
    at->second.held = held;
  }
  plan.unread = unread_;
  auto undo = ledger.accept(plan);
  parts_.push_back({job, std::move(plan), std::move(undo)});
}

void Draft::leave_out(const std::vector<GrantKey>& gone) {
  for (const auto& key : gone)
    if (const auto at = changes_.find(key); at != changes_.end() && at->second.comment.empty())
      changes_.erase(at);
}

Batch Draft::batch() const {
  Batch batch;
  batch.reserve(changes_.size());
  for (const auto& [key, change] : changes_) batch.push_back(change);
  return batch;
}

void Draft::revert(Ledger& ledger) const {
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) ledger.revert(part->undo);
}

std::vector<bool> Draft::refused(std::span<const Refused> by_kernel) const {
  std::set<GrantKey> keys;
  Full full;
  for (const auto& [at, code] : by_kernel) {
    if (at >= changes_.size()) continue;
    const auto& key = std::next(changes_.begin(), static_cast<std::ptrdiff_t>(at))->first;
    keys.insert(key);
    if (code == ENFILE) full.try_emplace(set_of(key), key);
  }
  std::vector<bool> refused;
  for (const auto& part : parts_)
    refused.push_back(is_behind(part, full) ||
                      std::any_of(part.plan.batch.begin(), part.plan.batch.end(),
                                  [&](const Change& change) { return keys.contains(change.key); }));
  return refused;
}

} // namespace knock::keeper
