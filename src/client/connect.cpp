// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate connect: opens, pipes the connection that proved it, closes at the end.
#include <unistd.h>

#include <charconv>

#include <knock/keeping.hpp>

#include "client/ending.hpp"
#include "client/pipe.hpp"
#include "client/show.hpp"
#include "client/state_file.hpp"
#include "client/verbs.hpp"
#include "client/wish.hpp"
#include "system/event_loop.hpp"

namespace knock::client {
namespace {

/// The packets that a door which cuts wants, as long as the connection lives. Others leave it alone.
class Extension {
 public:
  Extension(system::EventLoop& loop, const Session& session, const OpenDoor& door)
      : loop_(loop), session_(session), way_(door.way), keeping_(session.sure_for(), std::nullopt),
        wanted_(session.door.cut && session.keys) {
    if (wanted_) keeping_.found_open(system::monotonic_now(), left(door));
  }
  [[nodiscard]] std::optional<Instant> next() const {
    return wanted_ ? std::optional(keeping_.at()) : std::nullopt;
  }
  void send_if_due(Instant now) {
    if (!wanted_ || now < keeping_.at()) return;
    Order order;
    order.op = kn1::Op::refresh;
    if (session_.given.open_for) order.open_for = std::chrono::ceil<Seconds>(*session_.given.open_for);
    // Fifty connections of one device need no fifty packets. Half of the time between two of them: one may be lost.
    const Knocker::Yield yield{session_.sure_for() / 6, session_.sure_for() / 2};
    const auto did = Knocker(loop_, session_).knock(order, std::span(&way_, 1), 0, yield);
    if (!did) warn(did.error());
    keeping_.refreshed(now);
  }

 private:
  /// Another process may have opened it, some time ago, or a person for a moment.
  [[nodiscard]] Millis left(const OpenDoor& door) const {
    const auto state = look_at_state(session_.places.state, session_.profile.name);
    const auto now = system::wall_clock();
    const auto* last =
        state ? knocked_within(*state, session_.knocked_way(session_.ways[way_]), now, Wall::max()) : nullptr;
    if (last != nullptr) return session_.sure_left(*last, now);
    return door.packets != 0 ? session_.sure_for() : Millis{0}; // without a state ours alone is known
  }

  system::EventLoop& loop_;
  const Session& session_;
  std::size_t way_;
  Keeping keeping_;
  bool wanted_;
};

int pipe_until_over(system::EventLoop& loop, const Session& session, OpenDoor door, const Ending& ending) {
  Extension extension(loop, session, door);
  Pipe pipe(loop, std::move(door.connection), STDIN_FILENO, STDOUT_FILENO);
  while (!pipe.over() && !ending.asked()) {
    const auto now = loop.wait(extension.next());
    if (!now) return fail(session.given, failure_of(now.error()));
    extension.send_if_due(*now);
  }
  return 0;
}

} // namespace

int connect(const ClientLine& given) {
  const auto& text = given.words[1];
  std::uint16_t port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  auto session = begin_session(given, given.words[0], port, "");
  if (!session) return fail(given, session.error());
  auto wish = wish_of(*session);
  if (!wish) return fail(given, wish.error());
  wish->try_first = true;
  if (const auto failure = find_ways(*session)) return fail(given, *failure);
  auto hold = hold_door(*session);
  system::EventLoop loop;
  const auto ending = Ending::listen(loop);
  if (!ending) return fail(given, failure_of(ending.error()));
  auto door = Opener(loop, *session, [&] { return (*ending)->asked(); }).open(*wish);
  const bool stopped = !door && (*ending)->asked();
  if (!door && !stopped) {
    if (hold.was_last()) send_close(loop, *session); // what opened, and was not seen to
    return fail(given, door.error());
  }
  const int code = stopped ? 0 : pipe_until_over(loop, *session, std::move(*door), **ending);
  if (hold.was_last()) send_close(loop, *session);
  return code;
}

} // namespace knock::client
