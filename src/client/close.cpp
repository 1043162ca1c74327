// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate close: what this machine opened.
#include "client/report.hpp"
#include "client/show.hpp"
#include "client/verbs.hpp"
#include "client/wish.hpp"
#include "system/process.hpp"

namespace knock::client {
namespace {

constexpr Millis kBeforeSecond{250}; // one packet may be lost, and nothing says so

} // namespace

int close(const ClientLine& given) {
  auto session = begin_session(given, given.words[0], {}, given.words.size() > 1 ? given.words[1] : "");
  if (!session) return fail(given, session.error());
  if (!session->keys)
    return fail(given, {ExitCode::usage,
                        "usage",
                        {},
                        session->door.name + " is opened by its knock, which nothing closes",
                        "it ends by itself"});
  if (const auto failure = find_ways(*session)) return fail(given, *failure);
  system::EventLoop loop;
  const auto began = system::monotonic_now();
  const auto ways = all_ways(*session);
  Knocker knocker(loop, *session);
  Order order;
  order.op = kn1::Op::close;
  for (const unsigned number : {0U, 1U}) {
    if (number != 0) system::pause(kBeforeSecond);
    if (const auto did = knocker.knock(order, ways, number, {}); !did) return fail(given, did.error());
  }
  if (knocker.packets() == 0) return fail(given, knocker.all_lost());
  report_closed(*session, knocker.packets(), std::chrono::ceil<Millis>(system::monotonic_now() - began));
  return 0;
}

} // namespace knock::client
