// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel of straw against the real one: the same short histories on both, then what is there is compared.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>

#include "../harness/own_namespace.hpp"
#include "netlink/gate.hpp"
#include "netlink/table_watch.hpp"
#include "straw.hpp"

using namespace knock;
using namespace knock::simulation;
using namespace std::chrono_literals;

namespace {

const Port kSsh{Protocol::tcp, 22};
const Port kWeb{Protocol::tcp, 443};
constexpr Millis kLong{600'000};
constexpr Millis kShort{400};

GrantKey key(GrantSet set, unsigned n, Port port = kSsh) {
  GrantKey made{*parse_address("203.0.113.0"), port, set};
  made.source.octets[3] = static_cast<std::uint8_t>(n);
  if (set == GrantSet::session) made.source_port = static_cast<std::uint16_t>(40'000 + n);
  if (set == GrantSet::range) made.last = static_cast<std::uint16_t>(port.number + 100);
  return made;
}
Change put(GrantKey key, Millis timeout = kLong) {
  Change change{Change::Kind::put, key, timeout, "ssh - knock 1 2"};
  if (key.set == GrantSet::uses) change.uses = 3;
  if (key.set == GrantSet::forward) change.target = change.held = {*parse_address("192.0.2.20"), 22};
  return change;
}
Change remove(GrantKey key) {
  auto change = put(key);
  change.kind = Change::Kind::remove;
  return change;
}

/// An element as both can be asked for it; what is left of its time is compared by the minute.
struct Row {
  GrantKey key;
  std::string comment;
  Traffic traffic;
  Target target;
  std::int64_t minutes = 0;
  bool operator==(const Row&) const = default;
};
std::vector<Row> rows(std::vector<Element> elements) {
  std::vector<Row> found;
  for (auto& one : elements)
    found.push_back({one.key, std::move(one.comment), one.traffic, one.target,
                     std::chrono::round<std::chrono::minutes>(one.left).count()});
  std::sort(found.begin(), found.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
  return found;
}

std::string text_of(const Disturbance& found) {
  auto text = std::string(found.broken ? " broken" : "") + (found.set_made ? " made" : "") +
              (found.changed ? " changed" : "");
  auto removed = found.removed;
  std::sort(removed.begin(), removed.end());
  for (const auto& one : removed) text += " " + to_string(one.source) + "." + to_string(one.port);
  return text;
}

/// Whether a load changes the size of a set that is there.
bool kernel_resizes() {
  const auto size = [] { return netlink::Nftables::open()->sets("probe")->at("s").size; };
  nft("table inet probe { set s { type ipv4_addr; size 2; }; }");
  nft("table inet probe { set s { type ipv4_addr; size 4; }; }");
  const bool changed = size() == 4;
  nft("delete table inet probe");
  return changed;
}

template<class Condition>
void await(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + 25s;
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    ::usleep(10'000);
  }
}

/// Both worlds, and every act on both.
class Both {
 public:
  explicit Both(std::uint32_t places = 64) {
    config_->limits.grants = places / 2;
    config_->doors.emplace_back();
    config_->doors[0].opens = {kSsh, kWeb};
    straw_.now = Instant{1000s};
    straw_.start();
    straw_.resizes = kernel_resizes();
    (void)straw_.carry_out({keeper::Listen{true, true}});
    load();
  }

  void load(const Batch& grants = {}) {
    const auto sets = static_sets_of(*config_);
    const auto real = gate_.load(*config_, sets, grants);
    const auto outcome = straw_.carry_out({keeper::Load{config_, sets, grants}});
    CHECK(real.has_value() == (outcome.done == 1));
    compare();
  }
  void resize(std::uint32_t places) {
    config_ = std::make_shared<Config>(*config_);
    config_->limits.grants = places / 2;
  }
  void forward(bool on) {
    config_ = std::make_shared<Config>(*config_);
    config_->doors[0].forwards.clear();
    if (on)
      config_->doors[0].forwards.push_back(
          {{Protocol::tcp, 2222}, Target{*parse_address("192.0.2.20"), 22}, {}});
  }
  void unload() {
    CHECK(gate_.unload(*config_));
    CHECK(straw_.carry_out({keeper::Unload{config_}}).done == 1);
    compare();
  }
  /// Returns the errno that both gave; 0: done.
  int commit(const Batch& batch, bool where_there = false) {
    std::vector<Refused> refused;
    const auto real = gate_.commit(*config_, batch, &refused, where_there);
    const auto outcome = straw_.carry_out({keeper::Commit{batch, where_there}});
    CHECK(refused == outcome.refused);
    const int code = real ? 0 : real.error().code;
    CHECK(code == (outcome.error ? outcome.error->code : 0));
    compare();
    return code;
  }
  /// What another process types, and the same in straw. Both hear the same.
  void disturb(const std::string& text, const Foreign& foreign) {
    INFO(text);
    nft(text);
    straw_.disturb(foreign);
    keeper::Heard heard;
    straw_.hear(heard);
    const auto real = watch_.drain(gate_.port_id());
    REQUIRE(real.size() == heard.disturbances.size());
    for (std::size_t at = 0; at < real.size(); ++at)
      CHECK(text_of(real[at]) == text_of(heard.disturbances[at]));
    compare();
  }
  /// Until the element has ended; what ended may keep its place still.
  void await_end(const GrantKey& key) {
    await([&] { return gate_.find(*config_, {&key, 1})->empty(); });
    straw_.now += kShort;
    compare();
  }
  /// Where the real kernel collects once a second, a commit may be refused a little longer.
  void await_commit(const Batch& batch) {
    await([&] { return gate_.commit(*config_, batch).has_value(); });
    straw_.now += 2s;
    CHECK(straw_.carry_out({keeper::Commit{batch}}).done == 1);
    compare();
  }
  Straw& straw() { return straw_; }

 private:
  void compare() {
    const auto real = rows(*gate_.grants(*config_));
    const auto model = rows(straw_.table ? straw_.table->dump(straw_.now) : std::vector<Element>{});
    CHECK(real.size() == model.size());
    CHECK(real == model);
    const auto here = *gate_.look(*config_);
    const auto there = *straw_.look({.table = true}).table;
    CHECK(here.there == there->there);
    CHECK(here.guarded == there->guarded);
    CHECK(here.set_size == there->set_size);
    if (here.there) CHECK(here.as_loaded == there->as_loaded);
  }

  std::shared_ptr<Config> config_ = std::make_shared<Config>();
  netlink::Gate gate_ = *netlink::Gate::open();
  netlink::TableWatch watch_ = *netlink::TableWatch::open("knockgate");
  Straw straw_;
};

} // namespace

TEST_CASE("straw and kernel: put and remove, of what is there and of what is not, in every set") {
  if (!enter_namespace()) return;
  Both both;
  both.forward(true);
  both.load();
  for (const auto set : kGrantSets) {
    INFO(set_name(set, Family::ipv4));
    CHECK(both.commit({put(key(set, 1)), remove(key(set, 2))}) == 0);
    CHECK(both.commit({put(key(set, 1), 2 * kLong), put(key(set, 2)), remove(key(set, 3))}) == 0);
    CHECK(both.commit({remove(key(set, 1))}) == 0);
  }
  auto counted = put(key(GrantSet::open, 4));
  counted.traffic = {7, 420};
  CHECK(both.commit({counted}) == 0);
}

TEST_CASE(
    "straw and kernel: a range beside one of its source that it overlaps is refused, until that one goes") {
  if (!enter_namespace()) return;
  Both both;
  const Port mosh{Protocol::udp, 60'000};
  const auto wide = key(GrantSet::range, 1, mosh);
  auto inner = key(GrantSet::range, 1, {Protocol::udp, 60'050}), other = inner;
  other.source = key(GrantSet::range, 2).source;
  CHECK(both.commit({put(wide)}) == 0);
  CHECK(both.commit({put(other), put(key(GrantSet::range, 1, {Protocol::tcp, 60'050}))}) == 0);
  CHECK(both.commit({put(inner)}) == EEXIST);
  CHECK(both.commit({put(inner), remove(wide)}) == 0); // the removal first, wherever it stands
  CHECK(both.commit({put(inner, 2 * kLong), remove(wide)}) ==
        EEXIST); // it is added first, where it may be absent
  CHECK(both.commit({put(inner, 2 * kLong)}) == 0);
  auto counted = put(other);
  counted.traffic = {7, 420};
  CHECK(both.commit({counted}) == 0);
}

TEST_CASE("straw and kernel: a full set refuses the batch, and what is there needs no other place") {
  if (!enter_namespace()) return;
  const auto open = [](unsigned n) { return key(GrantSet::open, n); };
  Both both(2);
  CHECK(both.commit({put(open(1)), put(open(2))}) == 0);
  CHECK(both.commit({put(open(1), 2 * kLong), put(open(3))}) == ENFILE);
  CHECK(both.commit({put(open(1), 2 * kLong)}) == 0);
  CHECK(both.commit({remove(open(3))}) == ENFILE);
  CHECK(both.commit({remove(open(2)), put(open(3))}) == ENFILE);
  CHECK(both.commit({remove(open(2))}) == 0);
  CHECK(both.commit({put(open(3)), put(key(GrantSet::net, 0))}) == 0);
  both.load({put(open(4))}); // nft says less of the reason
}

TEST_CASE("straw and kernel: what ended is gone at once, and keeps its place a while") {
  if (!enter_namespace()) return;
  const auto open = [](unsigned n) { return key(GrantSet::open, n); };
  Both both(2);
  CHECK(both.commit({put(open(1), kShort), put(open(2))}) == 0);
  both.await_end(open(1));
  both.await_commit({put(open(1))});
  CHECK(both.commit({put(open(3))}) == ENFILE);
}

TEST_CASE("straw and kernel: another target needs the one that is there") {
  if (!enter_namespace()) return;
  Both both;
  both.forward(true);
  both.load();
  const auto led = key(GrantSet::forward, 1);
  CHECK(both.commit({put(led)}) == 0);
  auto moved = put(led);
  moved.target = {*parse_address("192.0.2.21"), 22};
  CHECK(both.commit({moved}) == 0);
  moved.held = {*parse_address("192.0.2.22"), 22};
  CHECK(both.commit({moved}) == EEXIST);
}

TEST_CASE("straw and kernel: no table, no map: ENOENT; a load brings them, a new size takes what does not "
          "come along") {
  if (!enter_namespace()) return;
  Both both;
  CHECK(both.commit({put(key(GrantSet::open, 1)), put(key(GrantSet::forward, 1))}) == ENOENT);
  CHECK(both.commit({put(key(GrantSet::open, 1))}) == 0);
  CHECK(both.commit({remove(key(GrantSet::open, 1)), remove(key(GrantSet::forward, 1))}, true) == 0);
  both.unload();
  CHECK(both.commit({remove(key(GrantSet::open, 1))}) == ENOENT);
  CHECK(both.commit({remove(key(GrantSet::open, 1))}, true) == 0);
  both.load({put(key(GrantSet::open, 1))});
  both.load({put(key(GrantSet::net, 0))});
  both.resize(32);
  both.load({put(key(GrantSet::open, 2))});
}

TEST_CASE("straw and kernel: the same is heard of what others do, and the same is left") {
  if (!enter_namespace()) return;
  Both both;
  CHECK(both.commit({put(key(GrantSet::open, 1)), put(key(GrantSet::open, 2)), put(key(GrantSet::net, 0))}) ==
        0);
  both.disturb("delete element inet knockgate open4 { 203.0.113.1 . tcp . 22 }",
               {.kind = Foreign::Kind::delete_element, .pick = 0});
  both.disturb("flush set inet knockgate open4", {.kind = Foreign::Kind::flush_set, .pick = 0});
  both.disturb("flush set inet knockgate open4", {.kind = Foreign::Kind::flush_set, .pick = 0});
  both.disturb("add element inet knockgate open4 { 203.0.113.7 . tcp . 22 timeout 10m comment \"x\" }",
               {.kind = Foreign::Kind::add_element,
                .element = {Change::Kind::put, key(GrantSet::open, 7), kLong, "x"}});
  both.disturb("delete element inet knockgate guarded { tcp . 22 }", {.kind = Foreign::Kind::unguard});
  both.disturb("flush chain inet knockgate gate", {.kind = Foreign::Kind::flush_rules});
  both.disturb("flush table inet knockgate\ndelete set inet knockgate open4",
               {.kind = Foreign::Kind::delete_set, .pick = 0});
  CHECK(both.commit({put(key(GrantSet::open, 1))}) == ENOENT);
  both.load();
  CHECK(both.commit({put(key(GrantSet::open, 1))}) == 0);
  const auto config = std::make_shared<Config>();
  both.straw().disk.saved = {config, {}};
  both.disturb(*template_text("gate", {.grants = config->limits.grants}) +
                   "flush set inet knockgate guarded\n",
               {.kind = Foreign::Kind::load_over});
  both.load();
  both.disturb("flush ruleset\n" + *template_text("gate", {.grants = config->limits.grants}),
               {.kind = Foreign::Kind::load_anew});
  both.disturb("flush ruleset", {.kind = Foreign::Kind::delete_table});
  both.disturb("flush ruleset", {.kind = Foreign::Kind::delete_table});
}
