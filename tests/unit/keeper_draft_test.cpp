// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/draft.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

#include "../harness/keeper.hpp"

using namespace knock;
using namespace knock::keeper;
using namespace std::chrono_literals;

namespace {

const auto kConfig = config_of(
    kSshDoor + kWebDoor + door_text("adm", 7'300, "opens = [\"tcp/22\"]\nfor = \"2m\"\nmax = \"1h\"") +
    door_text("fwd", 7'400, "forward = { \"tcp/8443\" = \"192.0.2.20:443\" }\nfor = \"30s\"\nmax = \"5m\""));

void add_open(Draft& draft, Ledger& ledger, std::string_view door, const Address& source, JobId job) {
  const auto asked = request(*kConfig, door, source);
  draft.add(ledger, plan_open(ledger, {&asked, 1}, kStart), job);
}

/// Where the change of this key stands in the batch.
std::size_t at(const Draft& draft, const GrantKey& key) {
  const auto batch = draft.batch();
  const auto found =
      std::find_if(batch.begin(), batch.end(), [&](const Change& change) { return change.key == key; });
  REQUIRE(found != batch.end());
  return static_cast<std::size_t>(found - batch.begin());
}

} // namespace

TEST_CASE(
    "plans of one element are one change, the last: the kernel refuses a batch that deletes a key twice") {
  Ledger ledger({});
  Draft draft;
  add_open(draft, ledger, "ssh", kClient, 1);
  add_open(draft, ledger, "adm", kClient, 2); // the same port, for longer
  REQUIRE(draft.batch().size() == 1);
  CHECK(draft.batch()[0].timeout == 2min);
  draft.add(ledger, plan_close(ledger, {.door = "adm"}, "hand", kStart), 3);
  draft.add(ledger, plan_close(ledger, {.door = "ssh"}, "hand", kStart), 4);
  REQUIRE(draft.batch().size() == 1);
  CHECK(draft.batch()[0].kind == Change::Kind::remove);
  CHECK(draft.parts().size() == 4);
}

TEST_CASE("what is gone already is not removed, and put again it is put") {
  Ledger ledger({});
  (void)open(ledger, request(*kConfig, "ssh"));
  Draft draft;
  draft.add(ledger, plan_close(ledger, {.door = "ssh"}, "foreign", kStart));
  auto again = draft;
  draft.leave_out({{kClient, kSsh}});
  CHECK(draft.batch().empty());
  CHECK(ledger.elements().empty());
  add_open(again, ledger, "adm", kClient, 1); // the same port
  again.leave_out({{kClient, kSsh}});
  CHECK(again.batch().size() == 1);
}

TEST_CASE("a map's element is held where the kernel has it, not where a plan of this round leads it") {
  Ledger ledger({});
  (void)open(ledger, request(*kConfig, "fwd"));
  const Target there = *parse_target("192.0.2.20:443"), elsewhere = *parse_target("192.0.2.21:443");
  const auto moved = [&](const Target& target) {
    auto asked = request(*kConfig, "fwd");
    for (auto& lead : asked.leads) lead.target = target;
    return asked;
  };
  Draft draft;
  for (const auto& target : {*parse_target("192.0.2.22:443"), elsewhere}) {
    const auto asked = moved(target);
    draft.add(ledger, plan_open(ledger, {&asked, 1}, kStart), 1);
  }
  const auto change = draft.batch().at(at(draft, {kClient, {Protocol::tcp, 8443}, GrantSet::forward}));
  CHECK(change.target == elsewhere);
  CHECK(change.held == there);
}

TEST_CASE("each plan sees those before it, and all of them are taken back") {
  Ledger ledger({});
  (void)open(ledger, request(*kConfig, "ssh"));
  const auto grants = ledger.grants();
  Draft draft;
  add_open(draft, ledger, "ssh", kClient, 1); // extends
  add_open(draft, ledger, "web", kClient, 2);
  draft.add(ledger, plan_close(ledger, {.door = "web"}, "hand", kStart), 3);
  CHECK(draft.parts().at(2).plan.closed.size() == 1);
  draft.add(ledger, plan_close(ledger, {.door = "ssh"}, "hand", kStart));
  CHECK(ledger.grants().empty());
  draft.revert(ledger);
  CHECK(ledger.grants() == grants);
  CHECK(ledger.elements().contains({kClient, kSsh}));
  CHECK_FALSE(ledger.elements().contains({kClient, kWeb}));
}

TEST_CASE("an element put anew while its counter could not be read may be used: its grant is not given up") {
  Ledger ledger({});
  (void)open(ledger, request(*kConfig, "ssh"));
  const auto is_free = [&](std::uint64_t id) { return is_unused(ledger.elements(), ledger.grants().at(id)); };
  Draft draft;
  draft.distrust_counters();
  add_open(draft, ledger, "ssh", kClient, 1);
  CHECK_FALSE(is_free(1));
  Draft later; // it reads the new counter, and what the old one had counted is not known any more
  add_open(later, ledger, "ssh", kClient, 1);
  CHECK_FALSE(is_free(1));
  later.revert(ledger);
  draft.revert(ledger);
  CHECK(is_free(1));
  Draft fresh;
  fresh.distrust_counters();
  add_open(fresh, ledger, "web", kClient, 1); // a new element has counted nothing
  CHECK(is_free(2));
}

TEST_CASE("a plan that changes and tells nothing is no part; one that only refuses is") {
  Ledger ledger({});
  Draft draft;
  draft.add(ledger, plan_close(ledger, {.door = "ssh"}, "hand", kStart), 1);
  CHECK(draft.parts().empty());
  ledger.set_limits({0, 0});
  add_open(draft, ledger, "ssh", kClient, 2);
  REQUIRE(draft.parts().size() == 1);
  CHECK(draft.batch().empty());
}

TEST_CASE("an element that the kernel refuses takes only those with it who wanted it") {
  Ledger ledger({});
  Draft draft;
  add_open(draft, ledger, "ssh", kClient, 1);
  add_open(draft, ledger, "adm", kClient, 2); // the same element
  add_open(draft, ledger, "web", kClient, 3);
  add_open(draft, ledger, "ssh", kOther, 4);
  const std::vector<Refused> refused{{at(draft, {kClient, kSsh}), EINVAL}};
  CHECK(draft.refused(refused) == std::vector{true, true, false, false});
  CHECK(draft.refused(std::vector<Refused>{{99, EINVAL}}) == std::vector(4, false)); // no change of ours
}

TEST_CASE(
    "of a full set the new elements behind the first without a place are refused, and none that is there") {
  Ledger ledger({});
  const Address last = address("203.0.113.200"), six = address("2001:db8::9");
  (void)open(ledger, request(*kConfig, "ssh", last));
  Draft draft;
  add_open(draft, ledger, "ssh", kOther, 1); // before it: the kernel took that one
  add_open(draft, ledger, "ssh", kClient, 2);
  add_open(draft, ledger, "web", address("203.0.113.10"), 3);
  add_open(draft, ledger, "ssh", last, 4); // has its place
  add_open(draft, ledger, "ssh", six, 5);  // another set
  const std::vector<Refused> refused{{at(draft, {kClient, kSsh}), ENFILE}};
  CHECK(draft.refused(refused) == std::vector{false, true, true, false, false});
}
