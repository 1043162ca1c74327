// SPDX-License-Identifier: GPL-2.0-or-later
// What signed packets need of a round: keys for the engine, lines and ceilings of their stamps on disk.
#include "core/keeper/signed_packets.hpp"

#include <utility>

#include <fmt/format.h>

#include <knock/status.hpp>

#include "core/keeper/state.hpp"

namespace knock::keeper {
namespace {

constexpr Millis kLookAtClock{5'000}; // while it is not known to be right

} // namespace

void recall_stamps(State& state, const Seen& seen, const Config* before, Said& said) {
  if (!seen.stamps) return;
  auto& kn1 = state.kn1;
  if (!*seen.stamps) said.lines.push_back({LogLevel::warn, to_string(seen.stamps->error())});
  const auto files = seen.stamps->value_or(StampsSeen{});
  if (files.ceilings_error) {
    kn1.unread = files.ceilings_error;
    said.lines.push_back({LogLevel::error, "no signed packet is accepted: " + to_string(*kn1.unread)});
  }
  auto ceilings = parse_ceilings(files.ceilings);
  if (!ceilings && !files.ceilings.empty())
    said.lines.push_back({LogLevel::warn,
                          "kn1.ceiling is not ours: devices without a clock are refused until "
                          "knockctl device rotate"});
  kn1.has_run = files.run.has_value();
  kn1.good_since = files.run ? files.run->good_since : 0;
  kn1.ceilings = ceilings.value_or(Ceilings{});
  std::set<kn1::Kid> counted;
  std::size_t lost = 0;
  for (const auto& key : before != nullptr ? stamp_keys_of(*before) : std::vector<Stamps::Key>{})
    if (key.limited && counted.insert(key.kid).second) lost += kn1.ceilings.keys.contains(key.kid) ? 0U : 1U;
  if (lost != 0 && !kn1.unread)
    said.lines.push_back({LogLevel::warn, fmt::format("kn1.ceiling lacks the openings of {}: refused until "
                                                      "knockctl device rotate",
                                                      plural(lost, "key"))});
  kn1.stamps.recall(files.run.value_or(StampRun{}), std::move(ceilings), std::move(counted));
}

void hear_clock(State& state, const WallClock& clock) {
  auto& kn1 = state.kn1;
  kn1.clock = clock;
  if (!takes_kn1(*state.settings.config) || kn1.stamps.is_good()) return;
  kn1.stamps.watch(clock);
  kn1.rekey = kn1.rekey || kn1.stamps.is_good();
}

Clocks clocks_of(const State& state) {
  const auto& kn1 = state.kn1;
  return {moment_of(kn1.clock.now), moment_of(kn1.stamps.latest(kn1.clock))};
}

Reply accept_clock(State& state) {
  auto& kn1 = state.kn1;
  if (!takes_kn1(*state.settings.config))
    return refusal(ExitCode::failed, "failed", "no door opens by signed packets", "write kn1 = true in one");
  const auto clocks = clocks_of(state);
  kn1.stamps.accept_clock(kn1.clock);
  kn1.rekey = true;
  return {{clock_line(clocks)}, {}};
}

std::vector<UserReport> users_of(const State& state) {
  const auto& config = *state.settings.config;
  const auto& [seen, stamps] = std::tie(state.kn1.requests.seen(), state.kn1.stamps);
  auto users = report_of(config, Moment{Seconds{state.wall}});
  for (auto& user : users)
    for (auto& report : user.devices) {
      const auto* device = find_device(config, report.device);
      if (device != nullptr && device->openings != 0)
        report.openings_left =
            device->openings - std::min(device->openings, stamps.openings(device->key.kid));
      if (report.openings_left == 0U && report.state == "ok") report.state = "used up";
      const auto& clock = state.kn1.clock;
      if (device != nullptr && report.state == "ok" && takes_kn1(config) &&
          stamps.judge(device->key.kid, clock.now, clock) == Freshness::state)
        report.state = "count lost";
      const auto known = seen.find(report.device);
      if (known == seen.end()) continue;
      const auto& [opened, server, refused] = known->second;
      if (opened) report.last_opened = Moment{Seconds{*opened}};
      report.server_key = server;
      if (!refused) continue;
      report.last_refused =
          LastRefused{refused->reason, to_string(refused->source), moment_of(refused->at), {}, refused->at};
      if (refused->reason == "age" || refused->reason == "ahead")
        report.last_refused->skew_ms = refused->skew_ms;
    }
  return users;
}

void follow_keys(State& state, std::string_view fresh) {
  auto& kn1 = state.kn1;
  const auto& config = *state.settings.config;
  auto keys = stamp_keys_of(config);
  const auto* made = fresh.empty() ? nullptr : find_device(config, fresh);
  for (auto& key : keys) key.known = !state.settings.started || made == nullptr || key.kid != made->key.kid;
  kn1.requests.follow(config);
  kn1.stamps.follow(keys, kn1.clock);
  kn1.rekey = kn1.told || takes_kn1(config);
}

Steps accepted_steps(State& state) {
  auto& kn1 = state.kn1;
  Steps steps;
  if (!state.settings.started && !state.finishing) return steps; // the file says more, until it is read
  if (kn1.not_before && *kn1.not_before > state.now) return steps;
  if (kn1.stamps.is_urgent()) {
    auto ceilings = ceiling_steps(state);
    steps.insert(steps.end(), ceilings.begin(), ceilings.end());
  }
  auto marks = kn1.stamps.take_marks();
  kn1.unwritten.insert(kn1.unwritten.end(), marks.begin(), marks.end());
  const bool taken = takes_kn1(*state.settings.config);
  const bool header = taken && (!kn1.has_run || kn1.error || kn1.good_since != kn1.stamps.good_since());
  if (!kn1.unwritten.empty() || header) steps.push_back(Mark{kn1.stamps.good_since(), kn1.unwritten});
  if (kn1.rekey && state.standing.engine)
    steps.push_back(Rekey{kn1_keys_of(*state.settings.config, kn1.stamps).encode()});
  return steps;
}

Steps ceiling_steps(const State& state) {
  if (!takes_kn1(*state.settings.config)) return {};
  const auto& ceilings = state.kn1.stamps.ceilings();
  if (ceilings == state.kn1.ceilings || state.kn1.unread) return {};
  return {Remember{Remember::File::ceilings, encode_ceilings(ceilings)}};
}

std::optional<Instant> next_signed(const State& state) {
  const auto& kn1 = state.kn1;
  if (!takes_kn1(*state.settings.config)) {
    if (kn1.rekey && state.standing.engine) return state.now;
    return std::nullopt;
  }
  std::optional<Instant> next;
  if (!kn1.stamps.is_good()) next = state.now + kLookAtClock;
  const bool waits = !kn1.unwritten.empty() || !kn1.has_run || (kn1.rekey && state.standing.engine);
  if (waits || kn1.error) next = sooner(next, kn1.not_before.value_or(state.now));
  if (!ceiling_steps(state).empty())
    next = sooner(next, kn1.unkept ? state.kept.not_before.value_or(state.now) : state.now);
  return next;
}

} // namespace knock::keeper
