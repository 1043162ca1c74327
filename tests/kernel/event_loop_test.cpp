// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/event_loop.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../harness/allocations.hpp"
#include "system/fd.hpp"

using namespace knock;
using namespace knock::system;

namespace {

/// A descriptor that is ready to be read.
Fd ready_fd() {
  return Fd(::eventfd(1, EFD_CLOEXEC));
}

void wake(EventLoop& loop) {
  REQUIRE(loop.wait(monotonic_now()));
}

} // namespace

TEST_CASE("a watch is called as long as it lives, wherever it moved") {
  EventLoop loop;
  const auto fd = ready_fd();
  int calls = 0;
  Watch outer;
  {
    auto inner = loop.watch(fd.get(), [&](Instant) { ++calls; });
    outer = std::move(inner);
  }
  wake(loop);
  CHECK(calls == 1);
  outer = {};
  wake(loop);
  CHECK(calls == 1);
}

TEST_CASE("a callback may end its own watch, and goes on with what it captured") {
  EventLoop loop;
  const auto fd = ready_fd();
  int calls = 0;
  Watch watch;
  watch = loop.watch(fd.get(), [&, text = std::string(100, 'x')](Instant) {
    watch = {};
    calls += text.size() == 100 ? 1 : 100;
  });
  wake(loop);
  wake(loop);
  CHECK(calls == 1);
}

TEST_CASE("what an earlier callback ended is not called, nor what took its descriptor") {
  EventLoop loop;
  auto first = ready_fd();
  auto second = ready_fd();
  Watch one, other;
  int ended = 0, begun = 0;
  // The same for both, so that either may be the earlier one.
  const auto end = [&](Watch& watch, Fd& fd) {
    if (ended++ != 0) return;
    const int number = fd.get();
    watch = {};
    fd = {};
    fd = ready_fd();
    REQUIRE(fd.get() == number);
    watch = loop.watch(number, [&](Instant) { ++begun; });
  };
  one = loop.watch(first.get(), [&](Instant) { end(other, second); });
  other = loop.watch(second.get(), [&](Instant) { end(one, first); });
  wake(loop);
  CHECK(ended == 1);
  CHECK(begun == 0);
  wake(loop);
  CHECK(begun == 1);
}

TEST_CASE("what is wanted of a descriptor may change; its end is told in any case") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Fd out(ends[1]);
  const Fd in(ends[0]);
  EventLoop loop;
  int calls = 0;
  auto watch = loop.watch(in.get(), [&](Instant) { ++calls; });
  REQUIRE(::write(out.get(), "x", 1) == 1);
  watch.want(Watch::Want::end);
  wake(loop);
  CHECK(calls == 0);
  watch.want(Watch::Want::read);
  wake(loop);
  CHECK(calls == 1);
  watch.want(Watch::Want::end);
  out = {};
  wake(loop);
  CHECK(calls == 2);
}

TEST_CASE("a wake-up allocates nothing") {
  EventLoop loop;
  const auto fd = ready_fd(), other = ready_fd();
  std::array<int, 16> calls{}; // too large for std::function to hold without a place of its own
  auto watch =
      loop.watch(fd.get(), [&calls, more = std::array<int, 16>{1}](Instant) { calls[0] += more[0]; });
  auto another = loop.watch(other.get(), [&calls](Instant) { ++calls[1]; });
  wake(loop);
  const auto before = allocations;
  for (int i = 0; i < 100; ++i) (void)loop.wait(monotonic_now());
  CHECK(allocations == before);
  CHECK(calls[0] == 101);
  CHECK(calls[1] == 101);
}
