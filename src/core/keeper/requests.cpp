// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/requests.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace knock::keeper {
namespace {

constexpr Seconds kTellAgain{10};

bool within(const std::vector<Prefix>& prefixes, const Address& source) {
  return prefixes.empty() || std::any_of(prefixes.begin(), prefixes.end(),
                                         [&](const Prefix& prefix) { return prefix.contains(source); });
}

/// Mode A: whether its device signed it. The DH is not in the hash, so the keeper needs none.
bool is_signed(const Kn1Record& record, const Device& device, const DeviceKey& key) {
  if (mode_of(device.accepts) == kn1::Mode::symmetric) return true; // who opened it had all there is
  if (!key.public_key) return false;                                // invited
  const auto hash = kn1::handshake_hash(record.server, key.psk, kn1::Mode::signed_key, record.head);
  return kn1::signature_fits(*key.public_key, hash, record.plain.m(kn1::Mode::signed_key),
                             record.plain.signature());
}

/// In milliseconds; what no clock shows becomes the most.
std::int64_t skew_of(Stamp stamp, Stamp now) {
  constexpr Stamp kMost = 1ULL << 62U;
  const auto ahead = stamp > now;
  const auto ns = static_cast<std::int64_t>(std::min(ahead ? stamp - now : now - stamp, kMost));
  return (ahead ? ns : -ns) / 1'000'000;
}

} // namespace

void Requests::follow(const Config& config) {
  config_ = &config;
  owners_.clear();
  doors_.clear();
  for (const auto& user : config.users)
    for (const auto& device : user.devices) {
      owners_[device.key.kid] = {&device, &device.key, {}};
      if (device.old) owners_[device.old->key.kid] = {&device, &device.old->key, device.old->until};
    }
  for (const auto& door : config.doors)
    if (door.enabled && door.kn1) doors_[door.wire] = &door;
  std::erase_if(seen_, [&](const auto& one) { return find_device(config, one.first) == nullptr; });
  std::erase_if(told_, [&](const auto& one) { return find_device(config, one.first.first) == nullptr; });
}

std::string_view Requests::door_refusal(Case& one, Moment now) const {
  const auto door = doors_.find(one.request.door);
  if (door == doors_.end()) return "door";
  one.door = door->second;
  const auto& device = *one.owner.device;
  if (!may_open(*config_, device, one.door->name)) return "user";
  const bool over = (device.until && now >= *device.until) || (one.owner.until && now >= *one.owner.until);
  return over || (device.from && now < *device.from) ? "dates" : "";
}

std::string_view Requests::source_refusal(Case& one, const Knocks& knocks) {
  const auto& device = *one.owner.device;
  const auto& packet = one.record.source;
  const auto& request = one.request;
  one.grantee = request.src.value_or(packet);
  switch (request.flag) {
  case kn1::Flag::unbound:
    if (device.require_source) return "unbound";
    break;
  case kn1::Flag::bound:
    if (one.grantee != packet) return "source";
    break;
  case kn1::Flag::for_src:
    if (!device.for_src) return "for_src";
    break;
  }
  if (!within(device.sources, packet) || !within(device.user_sources, packet)) return "sources";
  return !grantable(one.grantee) || knocks.is_own(one.grantee) ? "range" : "";
}

std::string_view Requests::op_refusal(const Case& one) {
  const bool runs = !one.door->run.empty();
  const auto op = one.request.op;
  if (op == (runs ? kn1::Op::open : kn1::Op::run)) return "op";
  return one.request.args.size() > (op == kn1::Op::run ? one.door->args : 0) ? "args" : "";
}

/// In the order of the specification; the stamp last, so that what is refused for another reason spends none.
std::string_view Requests::refusal(Case& one, const Now& now, const Knocks& knocks,
                                   const Stamps& stamps) const {
  const auto& [device, key, until] = one.owner;
  if (!is_signed(one.record, *device, *key)) return "signature";
  const auto request = kn1::parse_request(one.record.plain.m(mode_of(device->accepts)));
  if (!request) return request.error() == kn1::Malformed::op ? "op" : "form";
  one.request = *request;
  if (const auto why = door_refusal(one, moment_of(stamps.latest(now.clock))); !why.empty()) return why;
  if (const auto why = source_refusal(one, knocks); !why.empty()) return why;
  if (const auto why = op_refusal(one); !why.empty()) return why;
  one.opening = opening_of(*one.door, one.grantee, knocks.cooldowns(), now.at);
  if (!one.opening.opens && one.door->run.empty()) return "family"; // it leads nowhere there
  if (unwritten_) return "state";
  const auto fresh = stamps.judge(key->kid, one.record.head.ts, now.clock);
  return fresh == Freshness::fresh ? "" : to_string(fresh);
}

Job Requests::job_of(Case& one, const Now& now, const Stamps& stamps) {
  const auto& device = *one.owner.device;
  const auto& door = *one.door;
  if (one.request.op == kn1::Op::close)
    return Closing{.which = {.door = door.name, .source = one.grantee, .by = device.label},
                   .signed_packet = true};
  auto& opening = one.opening;
  auto& request = opening.request;
  request.by = device.label;
  request.via = Via::kn1;
  request.key = tag_of(one.owner.key->kid);
  request.old_key = one.owner.key != &device.key;
  request.bound = Bound{one.request.flag == kn1::Flag::unbound ? Bound::How::no
                        : one.request.flag == kn1::Flag::bound ? Bound::How::yes
                                                               : Bound::How::other,
                        one.record.source};
  if (one.request.ttl != Seconds{0} && door.close != Close::on_idle)
    request.open_for = std::min<Millis>(one.request.ttl, std::max(device.ttl_max, door.open_for));
  if (device.until) { // at least a second: it was not over a moment ago
    const auto left = std::max<Millis>(*device.until - moment_of(stamps.latest(now.clock)), Seconds{1});
    request.max = std::min(request.max, left);
  }
  opening.signed_packet = Opening::Signed{
      device.key.kid, one.request.op == kn1::Op::refresh, device.openings, device.addresses,
      std::string(reinterpret_cast<const char*>(one.request.args.data()), one.request.args.size())};
  return std::move(opening);
}

void Requests::refuse(const Refusal& what, const Now& now, std::vector<Line>& lines) {
  const std::string label(what.device), reason(what.reason);
  seen_[label].refused = DeviceSeen::Refused{reason, now.clock.now, what.source, what.skew_ms};
  auto& again = told_[{label, reason}];
  if (again > now.at) return;
  again = now.at + kTellAgain;
  lines.push_back({LogLevel::info, fmt::format("refused by={} source={} reason={} door={} skew_ms={}", label,
                                               to_string(what.source), reason, what.door, what.skew_ms)});
}

void Requests::judge(std::span<const Kn1Record> records, const Now& now, Knocks& knocks, Stamps& stamps,
                     std::vector<Job>& jobs, Counts& refused, std::vector<Line>& lines) {
  for (const auto& record : records) {
    const auto owner = owners_.find(record.head.kid);
    const auto& servers = config_->server_keys;
    const auto server = std::find_if(servers.begin(), servers.end(), [&](const ServerKey& key) {
      return key.key.server.pub == record.server;
    });
    const auto moment = moment_of(stamps.latest(now.clock));
    if (owner == owners_.end() || server == servers.end() || (server->until && moment >= *server->until)) {
      ++refused["kn1_kid"]; // removed a moment ago
      continue;
    }
    Case one{record, owner->second, {}, nullptr, {}, {}};
    auto why = refusal(one, now, knocks, stamps);
    const bool closes = why.empty() && one.request.op == kn1::Op::close;
    if (why.empty() && !knocks.keeps_pace(*one.door, closes, now.at)) why = "pace";
    if (!why.empty()) {
      const bool of_any_knock = why == "family" || why == "pace";
      ++refused[(of_any_knock ? "" : "kn1_") + std::string(why)];
      const auto& device = *owner->second.device;
      refuse({device.label, one.door == nullptr ? "-" : std::string_view(one.door->name), why, record.source,
              device.counter ? 0 : skew_of(record.head.ts, now.clock.now)},
             now, lines);
      continue;
    }
    stamps.accept(record.head.kid, record.head.ts, closes);
    seen_[owner->second.device->label].server = key_name(record.server);
    jobs.push_back(job_of(one, now, stamps));
  }
}

} // namespace knock::keeper
