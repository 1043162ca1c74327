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
  Extension(system::EventLoop& loop, const Session& session, std::size_t way)
      : loop_(loop), session_(session), way_(way), keeping_(session.sure_for(), std::nullopt),
        wanted_(session.door.cut && session.keys) {
    keeping_.opened(system::monotonic_now());
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
    const auto did = Knocker(loop_, session_).knock(order, std::span(&way_, 1), 0, session_.sure_for() / 6);
    if (!did) warn(did.error());
    keeping_.refreshed(now);
  }

 private:
  system::EventLoop& loop_;
  const Session& session_;
  std::size_t way_;
  Keeping keeping_;
  bool wanted_;
};

int pipe_until_over(system::EventLoop& loop, const Session& session, OpenDoor door, const Ending& ending) {
  Pipe pipe(loop, std::move(door.connection), STDIN_FILENO, STDOUT_FILENO);
  Extension extension(loop, session, door.way);
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
  auto hold = Hold::take(session->places.state, session->profile.name, session->door.name);
  if (!hold) return fail(given, failure_of(hold.error()));
  system::EventLoop loop;
  const auto ending = Ending::listen(loop);
  if (!ending) return fail(given, failure_of(ending.error()));
  auto door = Opener(loop, *session, [&] { return (*ending)->asked(); }).open(*wish);
  const bool stopped = !door && (*ending)->asked();
  if (!door && !stopped) {
    if (hold->was_last()) send_close(loop, *session); // what opened, and was not seen to
    return fail(given, door.error());
  }
  const int code = stopped ? 0 : pipe_until_over(loop, *session, std::move(*door), **ending);
  if (hold->was_last()) send_close(loop, *session);
  return code;
}

} // namespace knock::client
