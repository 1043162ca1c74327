// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate open: until the door is open.
#include <sys/socket.h>

#include "client/ending.hpp"
#include "client/report.hpp"
#include "client/show.hpp"
#include "client/verbs.hpp"
#include "client/wish.hpp"

namespace knock::client {
namespace {

/// What proved it shall not reach the service as a visitor who says nothing.
void reset(system::Fd connection) {
  const linger at_once{1, 0};
  if (connection) ::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

} // namespace

int open(const ClientLine& given) {
  auto session = begin_session(given, given.words[0], {}, given.words.size() > 1 ? given.words[1] : "");
  if (!session) return fail(given, session.error());
  const auto wish = wish_of(*session);
  if (!wish) return fail(given, wish.error());
  if (const auto failure = find_ways(*session)) return fail(given, *failure);
  system::EventLoop loop;
  const auto ending = Ending::listen(loop);
  if (!ending) return fail(given, failure_of(ending.error()));
  if (session->door.uses || session->door.run)
    session->port.reset(); // to connect would use it up, or prove nothing
  say_knocking(*session);
  auto door = Opener(loop, *session, [&] { return (*ending)->asked(); }).open(*wish);
  if (!door && (*ending)->asked()) return 128 + (*ending)->number();
  if (!door) return fail(given, door.error());
  reset(std::move(door->connection));
  report(*session, wish->order, *door);
  return 0;
}

} // namespace knock::client
