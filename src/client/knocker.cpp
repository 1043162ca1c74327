// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/knocker.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <knock/client_text.hpp>
#include <knock/kn1_client.hpp>

#include "client/show.hpp"
#include "system/process.hpp"

namespace knock::client {
namespace {

kn1::Device device_of(const ProfileKeys& keys) {
  kn1::Device device;
  device.kid = keys.kid;
  device.secret = keys.secret;
  device.mode = keys.seed ? kn1::Mode::signed_key : kn1::Mode::symmetric;
  device.psk = keys.seed ? keys.secret : keys.psk.value_or(kn1::Secret{});
  if (keys.seed) device.seed = *keys.seed;
  return device;
}

kn1::Request request_of(const Order& order, const Way& way, const std::string& door) {
  kn1::Request request;
  request.door = kn1::wire_id(door);
  request.op = order.op;
  request.ttl = order.open_for;
  request.flag = order.for_address ? kn1::Flag::for_src : way.binding.flag;
  request.src = order.for_address ? order.for_address : way.binding.source;
  request.args = order.args;
  return request;
}

/// What takes the place of a ping, which not every user may send.
std::optional<Carrier> other_carrier(const Profile& profile) {
  const auto found = std::find_if(profile.send.begin(), profile.send.end(),
                                  [](const Carrier& carrier) { return carrier.port != 0; });
  return found == profile.send.end() ? std::nullopt : std::optional(*found);
}

} // namespace

bool Knocker::knocked_by_another(const ClientState& state, kn1::Op op, std::span<const std::size_t> ways,
                                 Yield yield) const {
  if (yield.within <= Wall{0}) return false;
  const auto now = system::wall_clock();
  return std::any_of(ways.begin(), ways.end(), [&](std::size_t at) {
    const auto* last = knocked_within(state, session_.knocked_way(session_.ways[at]), now, yield.within);
    return last != nullptr && session_.sure_left(*last, now) >= yield.left &&
           (op != kn1::Op::refresh || last->seen == Knocked::Seen::open);
  });
}

tl::expected<void, Failure> Knocker::prepare() {
  const auto file = lock_state(session_.profile.counter);
  return file ? tl::expected<void, Failure>{} : judge(tl::unexpected(file.error()));
}

/// Where it failed once, nothing is waited for again.
Result<StateFile> Knocker::lock_state(bool counter) const {
  const auto patience = complained_ ? Millis{0} : kLockPatience;
  return StateFile::lock(session_.places.state, session_.profile.name, counter, patience);
}

void Knocker::lose(std::size_t way, const Error& error) {
  lost_.emplace_back(way, reason_text(error));
}

Failure Knocker::all_lost() const {
  std::vector<std::pair<Address, std::string>> why;
  for (const auto& [way, reason] : lost_) why.emplace_back(session_.ways[way].router, reason);
  return no_route(session_.named, why);
}

/// What cannot be written is shared with no other process; of a counter it would be lost. Returns what `stored` says then.
tl::expected<void, Failure> Knocker::judge(const Result<void>& stored) {
  if (stored) return {};
  if (session_.profile.counter) return tl::unexpected(failure_of(stored.error()));
  if (!std::exchange(complained_, true)) warn(failure_of(stored.error()));
  return {};
}

tl::expected<Knocker::Did, Failure> Knocker::knock(const Order& order, std::span<const std::size_t> ways,
                                                   unsigned number, Yield yield) {
  const auto& profile = session_.profile;
  auto file = lock_state(profile.counter);
  if (!file)
    if (auto judged = judge(tl::unexpected(file.error())); !judged) return tl::unexpected(judged.error());
  auto& state = file ? file->state : unshared_;
  if (knocked_by_another(state, order.op, ways, yield)) return Did::yielded;
  const auto carrier = session_.given.icmp ? Carrier{} : profile.send[number % profile.send.size()];
  for (const auto at : ways) {
    note_knock(state, order, session_.ways[at]);
    // One after the other: a counter is on the disk before its packet is on the wire. The newest key last: so a router
    // that takes both notes that this device knows it.
    for (auto server = session_.keys->servers.size(); server-- > 0;) {
      const bool again = order.op == kn1::Op::run && stamp_ != 0;
      if (!again) stamp_ = next_stamp(state, system::wall_clock(), profile.counter);
      if (file)
        if (auto judged = judge(file->store(profile.counter)); !judged) return tl::unexpected(judged.error());
      if (auto sent = seal_and_send(order, at, server, carrier); !sent)
        return tl::unexpected(std::move(sent.error()));
    }
  }
  return Did::sent;
}

/// In the state, before its packet goes out. It proves nothing: only a connection shows that it opened.
void Knocker::note_knock(ClientState& state, const Order& order, const Way& way) const {
  auto to = session_.knocked_way(way);
  if (order.for_address) to.granted = *order.for_address;
  if (order.op == kn1::Op::close) return forget(state, to);
  const auto now = system::wall_clock();
  note(state, {std::move(to), !order.for_address && way.binding.flag == kn1::Flag::bound, now,
               now + session_.open_for(), Knocked::Seen::sent});
}

tl::expected<void, Failure> Knocker::seal_and_send(const Order& order, std::size_t at, std::size_t server,
                                                   Carrier carrier) {
  const auto& way = session_.ways[at];
  const auto device = device_of(*session_.keys);
  const auto size = kn1::smallest_size(order.args.size(), device.mode);
  if (!size)
    return tl::unexpected(
        refused(fmt::format("{} bytes are more than a packet holds", order.args.size()), "fewer arguments"));
  std::vector<std::uint8_t> packet(*size);
  kn1::Secret ephemeral;
  system::fill_random(ephemeral.bytes);
  if (!kn1::seal(request_of(order, way, session_.door.name), session_.keys->servers[server], device, stamp_,
                 ephemeral, packet))
    return tl::unexpected(
        refused("the key of the router in the profile is none", "ask for: knockctl device line"));
  auto sent = sender_.send(way, carrier, packet);
  if (!sent && carrier.port == 0 && is_forbidden(sent.error())) {
    const auto other = other_carrier(session_.profile);
    if (session_.given.icmp || !other) return tl::unexpected(no_ping_socket());
    sent = sender_.send(way, *other, packet);
  }
  if (sent) return ++packets_, tl::expected<void, Failure>{};
  lose(at, sent.error());
  return {};
}

tl::expected<Knocker::Did, Failure> Knocker::step(const SentStep& step, std::size_t at, bool first,
                                                  Yield yield) {
  const auto& way = session_.ways[at];
  if (first) {
    auto file = lock_state(false);
    auto& state = file ? file->state : unshared_;
    if (knocked_by_another(state, kn1::Op::open, std::span(&at, 1), yield)) return Did::yielded;
    note_knock(state, {}, way);
    const auto stored = file ? file->store(false) : tl::unexpected(file.error());
    if (auto judged = judge(stored); !judged) return tl::unexpected(judged.error());
    ++packets_;
  }
  const auto sent = sender_.send(way, step.kind);
  if (sent) return Did::sent;
  if (is_ping(step.kind.port) && is_forbidden(sent.error())) return tl::unexpected(no_ping_socket());
  lose(at, sent.error());
  return Did::sent;
}

void Knocker::note_open(std::size_t at) const {
  auto file = lock_state(session_.profile.counter);
  if (!file) return;
  knock::note_open(file->state, session_.knocked_way(session_.ways[at]), system::wall_clock());
  static_cast<void>(file->store(false));
}

} // namespace knock::client
