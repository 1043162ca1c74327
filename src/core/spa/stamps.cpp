// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/stamps.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace knock {
namespace {

constexpr std::uint32_t kNoSlot = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kMaxCeilings = 4 * kMaxStampSlots;

/// Up to 2554; beyond, the greatest.
Stamp sum(Stamp a, Stamp b) {
  return a > std::numeric_limits<Stamp>::max() - b ? std::numeric_limits<Stamp>::max() : a + b;
}

Stamp less(Stamp a, Stamp b) {
  return a > b ? a - b : 0;
}

/// Of the key alone.
Stamp floor_in(const Ceilings& ceilings, const kn1::Kid& kid) {
  const auto own = ceilings.keys.find(kid);
  return own == ceilings.keys.end() ? 0 : own->second.stamp;
}

constexpr std::string_view kFirstLine = "knockgate kn1 ceiling 1";

/// The next word of a line; empty behind the last.
std::string_view take_word(std::string_view& line) {
  const auto word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(word.size() + 1, line.size()));
  return word;
}

template<class Number>
bool take_number(std::string_view& line, Number& out, int base = 10) {
  const auto word = take_word(line);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out, base);
  return error == std::errc{} && end == word.data() + word.size() && !word.empty();
}

bool take_kid(std::string_view& line, kn1::Kid& kid) {
  constexpr std::size_t kDigits = 16;
  if (line.find(' ') != kDigits) return false;
  std::uint64_t number = 0;
  if (!take_number(line, number, 16)) return false;
  for (auto byte = kid.bytes.rbegin(); byte != kid.bytes.rend(); ++byte, number >>= 8U)
    *byte = static_cast<std::uint8_t>(number);
  return true;
}

} // namespace

std::string encode_ceilings(const Ceilings& ceilings) {
  auto text = fmt::format("{}\nrouter {}\n", kFirstLine, ceilings.router);
  for (const auto& [kid, key] : ceilings.keys)
    fmt::format_to(std::back_inserter(text), "key {:02x} {} {}\n", fmt::join(kid.bytes, ""), key.stamp,
                   key.openings);
  return text;
}

std::optional<Ceilings> parse_ceilings(std::string_view text) {
  Ceilings ceilings;
  for (auto rest = text; !rest.empty();) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto what = take_word(line);
    kn1::Kid kid;
    Ceilings::Key key;
    if (what == "router" && take_number(line, ceilings.router)) continue;
    if (what == "key" && take_kid(line, kid) && take_number(line, key.stamp) &&
        take_number(line, key.openings))
      ceilings.keys.emplace(kid, key);
  }
  if (encode_ceilings(ceilings) != text) return std::nullopt; // there is one way to write it
  return ceilings;
}

Freshness in_window(Stamp stamp, const WallClock& clock) {
  if (stamp < less(clock.now, kStampPast)) return Freshness::age;
  return stamp > sum(clock.now, kStampAhead) ? Freshness::ahead : Freshness::fresh;
}

Freshness judge(const StampLine& line, Stamp stamp, const WallClock& clock) {
  const auto seen = line.judge(stamp);
  if (seen == Freshness::replay || !clock.good) return seen;
  const auto window = in_window(stamp, clock);
  return window == Freshness::fresh ? seen : window;
}

Moment moment_of(Stamp stamp) {
  return Moment{std::chrono::floor<Seconds>(std::chrono::nanoseconds{static_cast<std::int64_t>(stamp)})};
}

void Stamps::recall(StampRun run, std::optional<Ceilings> ceilings, std::set<kn1::Kid> counted) {
  run_good_since_ = run.good_since;
  recalled_.clear();
  for (const auto& mark : run.marks) recalled_.insert_or_assign(mark.kid, mark);
  counted_ = std::move(counted);
  has_ceilings_ = ceilings.has_value();
  ceilings_ = std::move(ceilings).value_or(Ceilings{});
}

Stamp Stamps::floor_of(const kn1::Kid& kid, bool counter) const {
  const auto floor = floor_in(ceilings_, kid);
  if (counter) return floor;
  const auto start = run_good_since_ == 0 ? 0 : sum(run_good_since_, kStampAhead);
  return std::max({floor, ceilings_.router, start});
}

Stamps::Held Stamps::held_for(const Key& key) const {
  if (const auto before = keys_.find(key.kid); before != keys_.end() && before->second.counter == key.counter)
    return before->second;
  Held held;
  held.counter = key.counter;
  const bool lacks_count = key.limited && counted_.contains(key.kid) && !ceilings_.keys.contains(key.kid);
  if (const auto there = recalled_.find(key.kid); there != recalled_.end()) {
    held.slot = there->second.slot;
    held.line = there->second.line;
    // Its line begins at its ceiling at least; what was accepted since moved the ceiling beyond.
    held.used = floor_in(ceilings_, key.kid) > held.line.floor;
    // A counter's ceiling is on disk before its line is here: one that is behind was put back by a hand; without one it
    // was lost before, and stays so.
    const auto ceiling = ceilings_.keys.find(key.kid);
    held.lost =
        key.counter && (ceiling == ceilings_.keys.end() || held.line.seen.back() > ceiling->second.stamp);
    held.lost = held.lost || lacks_count;
    if (key.counter) held.line.raise(floor_in(ceilings_, key.kid));
    return held;
  }
  held.slot = kNoSlot;
  // One that comes while we run has no packet from before; one that came back has its old line.
  if (const auto gone = gone_.find(key.kid); gone != gone_.end())
    held.line = gone->second;
  else
    held.line.floor = key.known ? floor_of(key.kid, key.counter) : floor_in(ceilings_, key.kid);
  const bool lacks_floor = key.counter && !ceilings_.keys.contains(key.kid) && (key.known || !has_ceilings_);
  held.lost = lacks_floor || lacks_count;
  return held;
}

void Stamps::follow(std::span<const Key> keys, const WallClock& clock) {
  watch(clock);
  std::map<kn1::Kid, Held> next;
  std::set<std::uint32_t> taken;
  for (const auto& key : keys) {
    const auto held = held_for(key);
    if (!next.emplace(key.kid, held).second) continue;
    if (held.slot != kNoSlot) taken.insert(held.slot);
    const bool outlives = (key.counter || key.limited) && !held.lost;
    if (outlives && ceilings_.keys.try_emplace(key.kid).second) urgent_ = true; // it is known from here on
  }
  for (const auto& [kid, held] : keys_)
    if (!next.contains(kid)) gone_.insert_or_assign(kid, held.line);
  for (const auto& [kid, mark] : std::exchange(recalled_, {}))
    if (!next.contains(kid)) gone_.insert_or_assign(kid, mark.line);
  has_ceilings_ = true; // from here on we keep it
  std::uint32_t free = 0;
  for (auto& [kid, held] : next) {
    gone_.erase(kid);
    if (held.slot != kNoSlot) continue;
    while (taken.contains(free)) ++free;
    held.slot = free++;
    changed_.insert(kid);
  }
  keys_ = std::move(next);
  // One that is gone may come back: its file is bad for a while.
  if (ceilings_.keys.size() > kMaxCeilings)
    std::erase_if(ceilings_.keys, [&](const auto& key) { return !keys_.contains(key.first); });
}

void Stamps::watch(const WallClock& clock) {
  if (!clock.good || run_good_since_ != 0) return;
  run_good_since_ = std::max(clock.now, Stamp{1});
  for (auto& [kid, held] : keys_) {
    if (held.counter || held.used || held.line.seen.back() != 0) continue;
    held.line.raise(floor_of(kid, false));
    changed_.insert(kid);
  }
}

Freshness Stamps::judge(const kn1::Kid& kid, Stamp stamp, const WallClock& clock) const {
  const auto key = keys_.find(kid);
  if (key == keys_.end() || key->second.lost) return Freshness::state;
  return knock::judge(key->second.line, stamp, {clock.now, !key->second.counter && is_good()});
}

void Stamps::accept(const kn1::Kid& kid, Stamp stamp, bool closes) {
  auto& held = keys_.at(kid);
  if (held.counter) held.line.raise(stamp - 1); // exact: what is older comes from a copy
  held.line.accept(stamp);
  held.used = true;
  if (closes) held.line.raise(stamp);
  changed_.insert(kid);
  if (held.counter || !is_good()) {
    auto& ceiling = ceilings_.keys[kid].stamp;
    if (stamp <= ceiling) return;
    ceiling = held.counter ? stamp : sum(stamp, kStampReserve);
    urgent_ = true;
  } else if (stamp > ceilings_.router) {
    ceilings_.router = sum(stamp, kStampReserve);
  }
}

void Stamps::count_opening(const kn1::Kid& kid) {
  ++ceilings_.keys[kid].openings;
  urgent_ = true;
}

void Stamps::return_opening(const kn1::Kid& kid) {
  if (const auto key = ceilings_.keys.find(kid); key != ceilings_.keys.end() && key->second.openings != 0)
    --key->second.openings;
}

std::uint32_t Stamps::openings(const kn1::Kid& kid) const {
  const auto key = ceilings_.keys.find(kid);
  return key == ceilings_.keys.end() ? 0 : key->second.openings;
}

bool Stamps::is_behind(const WallClock& clock) const {
  return ceilings_.router > sum(sum(clock.now, kStampReserve), kStampAhead);
}

Stamp Stamps::latest(const WallClock& clock) const {
  return std::max(clock.now, less(ceilings_.router, kStampReserve + kStampAhead));
}

void Stamps::accept_clock(const WallClock& clock) {
  ceilings_.router = clock.now;
  run_good_since_ = std::max(clock.now, Stamp{1});
  for (auto& [kid, held] : keys_) {
    if (held.counter) continue;
    if (auto ceiling = ceilings_.keys.find(kid); ceiling != ceilings_.keys.end())
      ceiling->second.stamp = std::min(ceiling->second.stamp, clock.now);
    held.line = {clock.now, {}};
    changed_.insert(kid);
  }
  urgent_ = true;
}

std::optional<std::uint32_t> Stamps::slot_of(const kn1::Kid& kid) const {
  const auto key = keys_.find(kid);
  return key == keys_.end() ? std::nullopt : std::optional(key->second.slot);
}

std::vector<StampMark> Stamps::take_marks() {
  std::vector<StampMark> marks;
  for (const auto& kid : std::exchange(changed_, {}))
    if (const auto key = keys_.find(kid); key != keys_.end())
      marks.push_back({key->second.slot, kid, key->second.line});
  return marks;
}

} // namespace knock
