// SPDX-License-Identifier: GPL-2.0-or-later
#include "laws_signed.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <knock/open_grant.hpp>

namespace knock::simulation {
namespace {

/// Whether user, device and door all say yes, reckoned anew.
const Device* allowed(const Config& config, const SignedLaws::Wish& wish) {
  const auto door = std::find_if(config.doors.begin(), config.doors.end(), [&](const Door& one) {
    return one.name == wish.door && one.enabled && one.kn1;
  });
  if (door == config.doors.end()) return nullptr;
  for (const auto& user : config.users)
    for (const auto& device : user.devices) {
      const auto& doors = device.doors.empty() ? user.doors : device.doors;
      if (device.label == wish.device && device.enabled && user.enabled &&
          std::find(doors.begin(), doors.end(), wish.door) != doors.end())
        return &device;
    }
  return nullptr;
}

/// Each element of a signed packet that has not ended, to the first that breaks a law.
template<class Judge>
SignedLaws::Broken judge_each(const Straw& straw, const Judge& judge) {
  if (!straw.table) return {};
  for (const auto& set : straw.table->sets)
    if (set)
      for (const auto& [key, placed] : set->placed) {
        const auto said = parse_comment(placed.comment);
        if (!said || said->via != Via::kn1 || placed.ends <= straw.now) continue;
        if (auto broken = judge(key, placed, *said)) return broken;
      }
  return {};
}

std::string text_of(const SignedLaws::Wish& wish) {
  return fmt::format("{} at door {} for {}", wish.device, wish.door, knock::to_string(wish.grantee));
}

} // namespace

void each_meaning(const Kn1Record& record, const std::vector<const Config*>& configs,
                  const Meaning& meaning) {
  for (const auto* config : configs)
    for (const auto& user : config->users)
      for (const auto& device : user.devices) {
        if (device.key.kid != record.head.kid) continue;
        const auto request = kn1::parse_request(record.plain.m(mode_of(device.accepts)));
        if (!request) continue;
        for (const auto& door : config->doors)
          if (kn1::wire_id(door.name) == request->door) meaning(*config, device, door, *request);
      }
}

void SignedLaws::hear(const std::vector<Kn1Record>& records, const std::vector<const Config*>& configs) {
  for (const auto& record : records) {
    if (forged_.contains(id_of(record))) continue;
    bool first = true; // of what it may mean
    each_meaning(
        record, configs, [&](const auto& config, const auto& device, const auto& door, const auto& request) {
          if (std::exchange(first, false)) times_[device.label].hear(record.head.ts);
          if (spent_.contains(id_of(record))) return;
          if (request.flag == kn1::Flag::bound && request.src != record.source) return;
          if (request.flag == kn1::Flag::unbound && device.require_source) return;
          auto& these = heard_[{device.label, door.name, record.source, request.op == kn1::Op::close}];
          if (these.packets.insert(id_of(record)).second && request.op == kn1::Op::refresh) ++these.refreshes;
          if (const auto* one = allowed(config, {device.label, door.name, record.source, false}))
            these.note(*one);
        });
  }
}

SignedLaws::Broken SignedLaws::told(std::string_view verb, const Wish& wish, const Config& config,
                                    const Straw& straw) {
  auto& these = heard_[wish];
  ++these.told;
  if (these.told > these.packets.size())
    return std::pair{"stamp", fmt::format("{} {}: {} packets that were not spent asked for it", verb,
                                          text_of(wish), these.packets.size())};
  if (verb == "open" && these.refreshes == these.packets.size())
    return std::pair{"stamp", fmt::format("a refresh opened for {}", text_of(wish))};
  if (verb == "close") return {};
  times_[wish.device].opened = true;
  if (const auto* device = allowed(config, wish)) these.note(*device);
  if (!these.allowed)
    return std::pair{"removed", fmt::format("{} {}, which it may not open", verb, text_of(wish))};
  return these.until ? lasts(wish, *these.until, straw) : Broken{};
}

/// By the clock that was shown at this time: it may be set later.
SignedLaws::Broken SignedLaws::lasts(const Wish& wish, Moment until, const Straw& straw) const {
  const auto seconds = std::chrono::nanoseconds{static_cast<std::int64_t>(straw.clock().now)};
  const auto shown = Moment{std::chrono::floor<Seconds>(seconds)};
  const auto least = std::max(until, shown + Seconds{1}) + Seconds{2};
  return judge_each(straw, [&](const GrantKey& key, const Placed& placed, const auto& said) -> Broken {
    if (said.by != wish.device || said.door != wish.door) return {};
    if (shown + std::chrono::floor<Seconds>(placed.ends - straw.now) <= least) return {};
    const auto stood = by_other_clock_.find(key);
    if (stood != by_other_clock_.end() && placed.ends <= stood->second + Millis{1}) return {};
    return std::pair{"until", fmt::format("{} stands longer than its device may", text_of(wish))};
  });
}

void SignedLaws::clock_set(const Straw& straw) {
  judge_each(straw, [&](const GrantKey& key, const Placed& placed, const auto&) -> Broken {
    by_other_clock_[key] = placed.ends;
    return {};
  });
}

void SignedLaws::act(const keeper::Steps& steps, std::size_t done) {
  unwritten_ = false;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    const auto* remember = std::get_if<keeper::Remember>(&steps[at]);
    if (remember == nullptr || remember->file != keeper::Remember::File::ceilings) continue;
    unwritten_ = at >= done;
    if (!unwritten_) unsure_.clear();
  }
}

void SignedLaws::spend(const std::set<Id>& packets) {
  spent_.insert(packets.begin(), packets.end());
  if (unwritten_) unsure_.insert(packets.begin(), packets.end());
}

void SignedLaws::killed(const keeper::Steps& steps, std::size_t done) {
  for (std::size_t at = 0; at < done; ++at)
    if (const auto* commit = std::get_if<keeper::Commit>(&steps[at]))
      for (const auto& change : commit->batch) {
        const auto said = change.kind == Change::Kind::put ? parse_comment(change.comment) : std::nullopt;
        if (!said || said->via != Via::kn1) continue;
        const auto these = heard_.find({said->by, said->door, change.key.source, false});
        if (these != heard_.end() && these->second.packets.size() == 1) spend(these->second.packets);
      }
  heard_.clear();
  for (auto& [device, times] : times_) times.newer = true;
}

SignedLaws::Broken SignedLaws::refused(const std::string& device, std::string_view reason) {
  const auto& times = times_[device];
  if (reason != "floor" || !times.opened || !times.newer) return {};
  return std::pair{"stamp", device + " was refused, and what it sent is newer than all before"};
}

void SignedLaws::follow(const Config& config) {
  for (auto& [device, times] : times_) times.opened = times.opened && find_device(config, device) != nullptr;
}

void SignedLaws::rebooted() {
  for (const auto& id : std::exchange(unsure_, {})) spent_.erase(id);
  unwritten_ = false;
  by_other_clock_.clear();
  for (auto& [device, times] : times_) times.opened = false;
}

void SignedLaws::rest(bool waits) {
  if (waits) return;
  for (auto& [device, times] : times_) times.newer = true;
  for (const auto& [wish, these] : heard_)
    if (these.told == these.packets.size()) spend(these.packets);
  heard_.clear();
}

SignedLaws::Broken SignedLaws::check(const Config& config, const Straw& straw) {
  return judge_each(straw, [&](const GrantKey& key, const Placed&, const auto& said) -> Broken {
    if (key.set == GrantSet::forward) return {}; // where it leads, not whether; it ends a second later
    const Wish wish{said.by, said.door, key.source, false};
    if (allowed(config, wish) != nullptr) return {};
    return std::pair{"removed", fmt::format("{} is open still", text_of(wish))};
  });
}

} // namespace knock::simulation
