// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/wish.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include <knock/limits.hpp>

#include "client/show.hpp"
#include "system/terminal.hpp"

namespace knock::client {
namespace {

Failure misuse(std::string text, std::string advice) {
  return {ExitCode::usage, "usage", {}, std::move(text), std::move(advice)};
}

tl::expected<std::vector<std::uint8_t>, Failure> args_from(int fd, const LineDoor& door) {
  constexpr auto kMost = static_cast<std::size_t>(kArgs.most);
  const auto args = system::read_all(fd, kMost + 1);
  if (!args || args->text.size() > door.args)
    return tl::unexpected(
        misuse(fmt::format("{} takes {} bytes of arguments from descriptor {}", door.name, door.args, fd),
               door.args == 0 ? "leave --args-fd out" : "--args-fd 3 3<FILE"));
  return std::vector<std::uint8_t>(args->text.begin(), args->text.end());
}

} // namespace

tl::expected<OpenWish, Failure> wish_of(const Session& session) {
  const auto& given = session.given;
  OpenWish wish;
  wish.probe = !given.no_probe;
  wish.share = !given.open_for && !given.for_address && !session.door.run;
  wish.order.op = session.door.run && session.keys ? kn1::Op::run : kn1::Op::open;
  if (given.open_for) wish.order.open_for = std::chrono::ceil<Seconds>(*given.open_for);
  if (!session.keys && (given.open_for || given.for_address || given.args_fd || given.icmp))
    return tl::unexpected(
        misuse(fmt::format("{} is opened by its knock, which says no more", session.door.name),
               "leave --for, --for-address, --args-fd, --icmp out"));
  if (given.for_address && !session.profile.for_src)
    return tl::unexpected(misuse(fmt::format("{} may not open for another address", session.profile.device),
                                 "the admin may allow it: for_src = true"));
  wish.order.for_address = given.for_address;
  if (!given.args_fd) return wish;
  if (!session.door.run)
    return tl::unexpected(
        misuse(fmt::format("{} runs no command", session.door.name), "leave --args-fd out"));
  auto args = args_from(*given.args_fd, session.door);
  if (!args) return tl::unexpected(std::move(args.error()));
  wish.order.args = std::move(*args);
  return wish;
}

std::vector<std::size_t> all_ways(const Session& session) {
  std::vector<std::size_t> ways(session.ways.size());
  std::iota(ways.begin(), ways.end(), std::size_t{0});
  return ways;
}

std::size_t send_close(system::EventLoop& loop, Session session) {
  if (!session.keys) return 0; // a knock opens, and the router closes
  const auto state = look_at_state(session.places.state, session.profile.name);
  for (const auto& one : state ? state->knocked : std::vector<Knocked>{}) {
    Binding binding;
    if (one.bound) binding = {kn1::Flag::bound, one.way.granted};
    const Way way{one.way.router, one.way.router, one.way.source, binding};
    const bool known = std::any_of(session.ways.begin(), session.ways.end(), [&](const Way& of) {
      return of.router == way.router && of.source == way.source;
    });
    if (!known && session.knocked_way(way) == one.way) session.ways.push_back(way);
  }
  Knocker knocker(loop, session);
  Order order;
  order.op = kn1::Op::close;
  static_cast<void>(knocker.knock(order, all_ways(session), 0, {}));
  return knocker.packets();
}

Hold hold_door(const Session& session) {
  auto hold = Hold::take(session.places.state, session.profile.name, session.door.name);
  if (hold) return std::move(*hold);
  warn(failure_of(hold.error()));
  return {};
}

} // namespace knock::client
