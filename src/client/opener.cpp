// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/opener.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include <knock/client_text.hpp>

#include "client/show.hpp"
#include "client/state_file.hpp"
#include "system/socket_address.hpp"
#include "system/zone.hpp"

namespace knock::client {
namespace {

constexpr Wall kMomentAgo = Seconds{10};
constexpr Millis kAtWork{1'000}; // another's knock may be
// `within` of a knock, unless its door says another: then the router forgot the former.
constexpr Millis kAgain{10'000};

OpeningPlan::Verify verify_of(const Session& session, const OpenWish& wish) {
  using Verify = OpeningPlan::Verify;
  const auto& door = session.door;
  const bool connects = wish.probe && session.port && !wish.order.for_address;
  if (connects) return door.uses ? Verify::connect_one : Verify::connect;
  return door.uses ? Verify::no_once : Verify::no;
}

} // namespace

Opener::Opener(system::EventLoop& loop, Session& session, std::function<bool()> stop)
    : loop_(loop), session_(session), stop_(std::move(stop)) {}

bool Opener::opened_a_moment_ago() const {
  const auto state = look_at_state(session_.places.state, session_.profile.name);
  return state && std::any_of(session_.ways.begin(), session_.ways.end(), [&](const Way& way) {
           return knocked_within(*state, session_.knocked_way(way), system::wall_clock(), kMomentAgo) !=
                  nullptr;
         });
}

tl::expected<void, Failure> Opener::prepare(const OpenWish& wish) {
  OpeningPlan plan;
  plan.paths = session_.ways.size();
  plan.verify = verify_of(session_, wish);
  plan.timeout = session_.given.timeout;
  plan.try_first = wish.share && wish.try_first && !session_.door.uses && opened_a_moment_ago();
  if (!session_.keys) {
    auto steps = sent_steps(session_.door.knock);
    if (!steps) return tl::unexpected(std::move(steps.error()));
    steps_ = std::move(*steps);
    plan.parts.clear();
    for (const auto& step : steps_) plan.parts.push_back(step.at);
    plan.again = kAgain;
  }
  tries_.clear();
  connection_ = {};
  lost_ = 0;
  knocker_.emplace(loop_, session_);
  auto prepared = knocker_->prepare();
  plan_.emplace(plan, system::monotonic_now());
  return prepared;
}

tl::expected<OpenDoor, Failure> Opener::open(const OpenWish& wish) {
  if (auto prepared = prepare(wish); !prepared) return tl::unexpected(std::move(prepared.error()));
  const auto began = system::monotonic_now();
  for (auto now = began;;) {
    if (auto done = act(plan_->due(now), wish); !done) return tl::unexpected(std::move(done.error()));
    drop_lost_ways();
    now = system::monotonic_now();
    if (const auto outcome = plan_->outcome(now); outcome != Opening::Outcome::pending)
      return end(outcome, began, now);
    const auto woken = loop_.wait(plan_->next());
    if (!woken) return tl::unexpected(failure_of(woken.error()));
    now = *woken;
    tries_.remove_if([](const Try& one) { return one.over; });
    if (stop_()) return tl::unexpected(Failure{});
  }
}

tl::expected<void, Failure> Opener::act(const std::vector<OpeningStep>& steps, const OpenWish& wish) {
  const auto is_try = [](const OpeningStep& step) { return step.kind == OpeningStep::Kind::connect; };
  const auto first_knock = std::find_if_not(steps.begin(), steps.end(), is_try);
  std::for_each(steps.begin(), first_knock, [&](const OpeningStep& step) { connect(step); });
  const auto did = knock(steps, wish);
  if (!did) return tl::unexpected(did.error());
  if (*did == Knocker::Did::yielded)
    tell(session_.given, "another knockgate knocks there just now: its knock comes first");
  for (auto step = first_knock; step != steps.end(); ++step)
    if (is_try(*step)) connect(*step);
  return {};
}

/// All knocks of `steps`; with signed packets those of all paths under one lock.
tl::expected<Knocker::Did, Failure> Opener::knock(const std::vector<OpeningStep>& steps,
                                                  const OpenWish& wish) {
  std::vector<std::size_t> ways;
  unsigned number = 0;
  // A connection needs it open for a moment; who opens wants the door's own time of it.
  const auto yield_to = [&](unsigned which) {
    if (which != 0 || !wish.share || session_.door.uses || !plan_->may_yield()) return Knocker::Yield{};
    return Knocker::Yield{kAtWork, wish.try_first ? kAtWork : session_.sure_for() - kAtWork};
  };
  for (const auto& step : steps) {
    if (step.kind != OpeningStep::Kind::knock) continue;
    number = step.number;
    ways.push_back(step.path);
    if (session_.keys) continue;
    const bool first = step.part == 0;
    const auto did =
        knocker_->step(steps_[step.part], step.path, first, first ? yield_to(number) : Knocker::Yield{});
    if (!did) return did;
    if (*did == Knocker::Did::yielded) return plan_->yield(system::monotonic_now()), did;
  }
  if (ways.empty() || !session_.keys) return Knocker::Did::sent;
  const auto did = knocker_->knock(wish.order, ways, number, yield_to(number));
  if (did && *did == Knocker::Did::yielded) plan_->yield(system::monotonic_now());
  if (did && *did == Knocker::Did::sent)
    tell(session_.given,
         fmt::format("knock {} of {} sent to {} address(es)", number + 1, session_.door.name, ways.size()));
  return did;
}

void Opener::connect(const OpeningStep& step) {
  const auto& way = session_.ways[step.path];
  auto& one = tries_.emplace_back();
  one.way = step.path;
  one.number = step.number;
  one.fd = system::Fd(
      ::socket(system::family_of(way.target.family), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const system::SocketAddress own(way.source, 0);
  const system::SocketAddress peer(way.target, *session_.port);
  // From the address that knocked: the door is open for no other.
  if (one.fd && ::bind(one.fd.get(), own.get(), own.size) == 0 &&
      (::connect(one.fd.get(), peer.get(), peer.size) == 0 || errno == EINPROGRESS)) {
    one.watch = loop_.watch(one.fd.get(), [this, &one](Instant now) { hear(one, now); });
    one.watch.want(system::Watch::Want::write);
    return;
  }
  one.over = true;
  if (errno == ECONNREFUSED)
    plan_->refused(step.path, step.number, system::monotonic_now());
  else
    plan_->failed(step.path, step.number);
}

void Opener::hear(Try& one, Instant now) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(one.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  one.over = true;
  one.watch = {};
  tell(session_.given, fmt::format("connect to {} port {}: {}", to_string(session_.ways[one.way].target),
                                   *session_.port, error == 0 ? "stands" : std::strerror(error)));
  if (error == 0) {
    if (connection_) return;
    connection_ = std::move(one.fd);
    plan_->connected(one.way);
  } else if (error == ECONNREFUSED) {
    plan_->refused(one.way, one.number, now);
  } else {
    plan_->failed(one.way, one.number);
  }
}

void Opener::drop_lost_ways() {
  for (; lost_ < knocker_->lost().size(); ++lost_) plan_->drop(knocker_->lost()[lost_].first);
}

tl::expected<OpenDoor, Failure> Opener::end(Opening::Outcome outcome, Instant began, Instant now) {
  using Outcome = Opening::Outcome;
  tries_.clear(); // those that did not stand are reset
  if (outcome != Outcome::open && outcome != Outcome::sent) return tl::unexpected(story_of(outcome));
  OpenDoor door;
  door.verified = outcome == Outcome::open;
  door.way = door.verified ? plan_->path() : 0;
  door.connection = std::move(connection_);
  door.took = std::chrono::ceil<Millis>(now - began);
  door.packets = knocker_->packets();
  if (door.verified) knocker_->note_open(door.way);
  return door;
}

Failure Opener::story_of(Opening::Outcome outcome) const {
  const auto& profile = session_.profile;
  if (outcome == Opening::Outcome::nothing && !knocker_->lost().empty() && knocker_->packets() == 0)
    return knocker_->all_lost();
  OpeningStory story;
  story.host = session_.named;
  story.door = session_.door.name;
  if (session_.port) story.port = Port{Protocol::tcp, *session_.port};
  story.timeout = session_.given.timeout;
  story.knocks = knocker_->packets();
  story.signed_packets = session_.keys.has_value();
  for (const auto& way : session_.ways) {
    story.routers.push_back(way.router);
    (way.binding.flag == kn1::Flag::bound ? story.bound : story.unbound) = true;
  }
  story.rejected = knocker_->sender().rejected();
  story.port_unreachable = knocker_->sender().port_unreachable();
  story.all_refused = plan_->all_refused();
  story.clock_is_off = story.signed_packets && !profile.counter && !system::is_clock_synchronised();
  const auto state = look_at_state(session_.places.state, profile.name);
  story.ever_opened = state && state->ever_opened;
  story.password = session_.asked_password;
  story.waits_for_admin = session_.keys && session_.keys->seed;
  if (profile.until && *profile.until <= system::now()) story.ended = profile.until;
  story.user = profile.device.substr(0, profile.device.find('/'));
  return outcome == Opening::Outcome::service_refuses ? service_refuses(story)
                                                      : nothing_opened(story, system::to_local);
}

} // namespace knock::client
