// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate keep: opens, and sends what keeps it open, also from another address; closes at the end.
#include <signal.h>

#include <algorithm>

#include <knock/keeping.hpp>

#include "client/bell.hpp"
#include "client/command.hpp"
#include "client/ending.hpp"
#include "client/report.hpp"
#include "client/show.hpp"
#include "client/state_file.hpp"
#include "client/verbs.hpp"
#include "client/wish.hpp"

namespace knock::client {
namespace {

constexpr unsigned kAnew = 3; // refreshes: all of the time that a door is open for

class Keeper {
 public:
  Keeper(system::EventLoop& loop, Session& session, OpenWish wish, Ending& ending, Bell& bell)
      : loop_(loop), session_(session), wish_(std::move(wish)), ending_(ending), bell_(bell),
        keeping_(session.sure_for(), session.door.max) {}

  /// Errors: it did not open.
  std::optional<Failure> open_first() {
    if (auto failure = find_ways()) return failure;
    say_knocking(session_);
    return open();
  }

  [[nodiscard]] bool has_knocked() const { return knocked_; }

  /// Returns the exit code.
  int run(const Command* command) {
    command_ = command;
    for (;;) {
      if (command_ != nullptr) {
        if (const auto code = command_->ended()) return *code;
        pass_on(*command_);
      } else if (ending_.asked()) {
        return 0;
      }
      send_if_due();
      bell_.set(keeping_.at());
      if (const auto woken = loop_.wait(std::nullopt); !woken)
        return fail(session_.given, failure_of(woken.error()));
      const bool slept = bell_.slept();
      if ((bell_.changed() && has_moved()) || slept) keeping_.moved(boot_time());
    }
  }

 private:
  [[nodiscard]] bool over() const { return ending_.asked() || (command_ != nullptr && command_->ended()); }

  std::optional<Failure> find_ways() {
    return client::find_ways(session_, [&] { return ending_.asked_by_now(); });
  }

  std::optional<Failure> open() {
    auto wish = wish_;
    wish.share = false;
    knocked_ = true;
    auto door = Opener(loop_, session_, [&] { return over(); }).open(wish);
    if (!door) return door.error();
    keeping_.opened(boot_time());
    if (session_.given.command.empty()) report(session_, wish.order, *door); // else stdout is the command's
    return std::nullopt;
  }

  void send_if_due() {
    if (boot_time() < keeping_.at()) return;
    if (keeping_.next() == Keeping::Next::refresh && session_.keys) return refresh();
    auto failure = find_ways();
    if (!failure) failure = open();
    if (!failure || over()) return;
    warn(*failure);
    keeping_.failed(boot_time());
  }

  /// Now and then as if it were shut: a path that was dead for longer than the door stays open, or a router that booted,
  /// says nothing. That extends, too, where it is open; a command would run again.
  void refresh() {
    Order order;
    const bool anew = ++refreshes_ % kAnew == 0 && !session_.door.run && !session_.door.uses;
    order.op = anew ? kn1::Op::open : kn1::Op::refresh;
    order.open_for = wish_.order.open_for;
    Knocker knocker(loop_, session_);
    const auto did = knocker.knock(order, all_ways(session_), 0, {});
    if (!did) warn(did.error());
    keeping_.refreshed(boot_time());
    if (anew) follow_names();
  }

  /// A router that got another address is opened there. A name without an answer changes nothing.
  void follow_names() {
    const auto before = session_.ways;
    if (find_ways()) return;
    const bool moved = std::any_of(session_.ways.begin(), session_.ways.end(), [&](const Way& way) {
      return std::find(before.begin(), before.end(), way) == before.end();
    });
    if (moved) keeping_.moved(boot_time());
  }

  /// Whether another address would be used now than the one that opened.
  bool has_moved() const {
    return session_.ways.empty() ||
           std::any_of(session_.ways.begin(), session_.ways.end(), [](const Way& way) {
             const auto source = source_towards(way.router);
             return source && *source != way.source;
           });
  }

  /// It ends when the command does. A signal of the terminal reached that one already.
  void pass_on(const Command& command) {
    if (const int number = ending_.take(); number != 0 && number != SIGINT) command.pass_on(number);
  }

  system::EventLoop& loop_;
  Session& session_;
  OpenWish wish_;
  Ending& ending_;
  Bell& bell_;
  Keeping keeping_;
  const Command* command_ = nullptr;
  unsigned refreshes_ = 0;
  bool knocked_ = false;
};

/// Returns the exit code.
int keep_open(const ClientLine& given, system::EventLoop& loop, Keeper& keeper, const Ending& ending) {
  if (const auto failure = keeper.open_first()) {
    if (!ending.asked()) return fail(given, *failure);
    return given.command.empty() ? 0 : 128 + ending.number(); // a command that never ran did not succeed
  }
  if (given.command.empty()) return keeper.run(nullptr);
  const auto command = Command::start(loop, given.command);
  if (!command) return fail(given, failure_of(command.error()));
  return keeper.run(command->get());
}

} // namespace

int keep(const ClientLine& given) {
  auto session = begin_session(given, given.words[0], {}, given.words.size() > 1 ? given.words[1] : "");
  if (!session) return fail(given, session.error());
  auto wish = wish_of(*session);
  if (!wish) return fail(given, wish.error());
  if (session->door.uses || session->door.run) session->port.reset();
  auto hold = hold_door(*session);
  system::EventLoop loop;
  const auto ending = Ending::listen(loop);
  const auto bell = Bell::hang(loop);
  if (!ending || !bell) return fail(given, failure_of(ending ? bell.error() : ending.error()));
  Keeper keeper(loop, *session, std::move(*wish), **ending, **bell);
  const int code = keep_open(given, loop, keeper, **ending);
  if (keeper.has_knocked() && hold.was_last())
    send_close(loop, *session); // also what opened, and was not seen to
  return code;
}

} // namespace knock::client
