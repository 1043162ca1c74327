// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/policy.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "../harness/sequences.hpp"

using namespace knock;
using namespace std::chrono_literals;

namespace {

NodeId walk(const Policy& policy, std::initializer_list<unsigned> ports) {
  NodeId at = 0;
  for (auto port : ports) {
    const auto* edge = policy.edge(at, tcp(port));
    REQUIRE(edge != nullptr);
    at = edge->forward;
  }
  return at;
}

} // namespace

TEST_CASE("doors share the beginning of their paths, and a shared node carries the greatest limits") {
  auto a = sequence("a", {1, 2, 3});
  a.within = 5s;
  a.strays = 2;
  auto b = sequence("b", {1, 2, 4});
  b.within = 20s;
  b.strays = 9;
  a.reorder = b.reorder = 0ms;
  const auto policy = *Policy::compile(std::vector{a, b}, 30s);
  CHECK(policy.node_count() == 4);
  const auto shared = walk(policy, {1, 2});
  CHECK(policy.node(shared).within == ticks_in(20s));
  CHECK(policy.node(shared).strays == 9);
  const auto& end = policy.node(walk(policy, {1, 2, 3}));
  CHECK(end.leaf);
  CHECK(policy.ending(end).within == ticks_in(5s));
  CHECK(policy.ending(end).strays == 2);
  CHECK(policy.is_first_step(walk(policy, {1})));
  CHECK_FALSE(policy.is_first_step(shared));
}

TEST_CASE("with reorder n steps take 2n-1 nodes, and a swapped pair leads back to the path") {
  const auto policy = *Policy::compile(std::vector{sequence("a", {1, 2, 3})}, 30s);
  CHECK(policy.node_count() == 5);
  auto three = sequence("a", {1, 2, 3});
  CHECK(most_nodes(three) == 5);
  three.reorder = 0ms;
  CHECK(most_nodes(three) == 3);
  CHECK(most_nodes(sequence("a", {})) == 0);
  const auto* out = policy.edge(0, tcp(2));
  REQUIRE(out != nullptr);
  CHECK(out->out);
  const auto* back = policy.edge(out->forward, tcp(1));
  REQUIRE(back != nullptr);
  CHECK(back->back == walk(policy, {1, 2}));
  CHECK(back->late == walk(policy, {1}));
  CHECK(policy.gaps(*back).reorder == ticks_in(50ms));
}

TEST_CASE("a swapped node on another door's own path has no late way back") {
  const auto policy = *Policy::compile(std::vector{sequence("a", {1, 2, 3}), sequence("b", {2, 9})}, 30s);
  const auto* out = policy.edge(0, tcp(2));
  REQUIRE(out != nullptr);
  CHECK_FALSE(out->out);
  CHECK(policy.edge(out->forward, tcp(1))->late == 0);
}

TEST_CASE("the same sequence twice is refused and both doors are named") {
  const auto policy = Policy::compile(std::vector{sequence("a", {1, 2}), sequence("b", {1, 2})}, 30s);
  REQUIRE_FALSE(policy);
  CHECK(policy.error().text == "has the same steps as");
}

TEST_CASE("10,000 doors of three steps fit, more nodes than an attempt's word can name do not") {
  std::vector<Sequence> doors;
  for (unsigned i = 0; i < 10'000; ++i)
    doors.push_back(sequence("d" + std::to_string(i), {1 + i, 20'000 + i % 40'000, 10'001 + i}));
  CHECK(Policy::compile(doors, 30s)->node_count() == 50'000);
  for (auto& door : doors) door.steps.push_back(tcp_step(7));
  const auto beyond = Policy::compile(doors, 30s);
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().advice.find("reorder") != std::string::npos);
}

TEST_CASE("reload finds each path again, and forgets those that are gone") {
  const auto old_policy = *Policy::compile(std::vector{sequence("a", {1, 2, 3}), sequence("b", {5, 6})}, 30s);
  const auto policy = *Policy::compile(std::vector{sequence("c", {7, 8}), sequence("a", {1, 2, 3})}, 30s);
  const auto map = policy.carry_over(old_policy);
  CHECK(map[walk(old_policy, {1, 2})] == walk(policy, {1, 2}));
  CHECK(map[walk(old_policy, {5})] == 0);
  CHECK(map[walk(old_policy, {5, 6})] == 0);
}

TEST_CASE("an image of a policy is the policy") {
  auto a = sequence("a", {1, 2, 3});
  auto b = sequence("b", {2, 1, 4, 5});
  const auto policy = *Policy::compile(std::vector{a, b}, 30s);
  const auto image = policy.encode();
  const auto read = Policy::decode(image);
  REQUIRE(read);
  CHECK(read->encode() == image);
  CHECK(read->node_count() == policy.node_count());
  CHECK(read->cooloff() == policy.cooloff());
  CHECK(walk(*read, {1, 2, 3}) == walk(policy, {1, 2, 3}));
  CHECK(read->ending(read->node(walk(*read, {2, 1, 4, 5}))).door == b.door);
  CHECK(Policy::decode(Policy().encode()));
}

TEST_CASE("a cut, longer or wrong image is refused") {
  const auto image = Policy::compile(std::vector{sequence("a", {1, 2, 3})}, 30s)->encode();
  for (std::size_t size = 0; size < image.size(); ++size)
    CHECK_FALSE(Policy::decode(std::span(image).first(size)));
  auto longer = image;
  longer.push_back({});
  CHECK_FALSE(Policy::decode(longer));
  constexpr std::size_t kFirstNode = 28; // behind the head
  constexpr std::size_t kNode = 12;
  auto wild = image;
  wild[kFirstNode + kNode + 4] = std::byte{9}; // the first step's parent, beyond the node itself
  CHECK_FALSE(Policy::decode(wild));
}

TEST_CASE("in any order a knock takes a node for each set of its steps, beside the paths of others") {
  auto any = sequence("a", {1, 2, 3});
  any.any_order = true;
  CHECK(most_nodes(any) == 7);
  CHECK(Policy::compile(std::vector{any}, 30s)->node_count() == 7);
  auto strict = sequence("b", {1, 2, 9});
  strict.reorder = 0ms;
  const auto policy = *Policy::compile(std::vector{any, strict}, 30s);
  // 1 2 is a path of b and a set of a; 2 1 is a set of a alone.
  CHECK(walk(policy, {1, 2, 3}) == walk(policy, {2, 1, 3}));
  CHECK(walk(policy, {1, 2}) != walk(policy, {2, 1}));
  CHECK(policy.edge(walk(policy, {1, 2}), tcp(9)) != nullptr);
  CHECK(policy.edge(walk(policy, {2, 1}), tcp(9)) == nullptr);
  auto same = sequence("c", {2, 3, 1});
  const auto clash = Policy::compile(std::vector{any, same}, 30s);
  REQUIRE_FALSE(clash);
  CHECK(clash.error().other.has_value());
}

TEST_CASE("pauses: the gap of each step is a rule, nothing is swapped, and another rhythm of the same steps "
          "is refused") {
  auto a = sequence("a", {1, 1, 2});
  a.steps[2].pause = 1s;
  const auto policy = *Policy::compile(std::vector{a}, 30s);
  CHECK(policy.node_count() == 3);
  const auto& second = policy.gaps(*policy.edge(walk(policy, {1}), tcp(1)));
  CHECK(second.least == 0);
  CHECK(second.most == ticks_in(500ms));
  const auto& third = policy.gaps(*policy.edge(walk(policy, {1, 1}), tcp(2)));
  CHECK(third.least == 750ms / kTick);
  CHECK(third.most == ticks_in(1'250ms));
  const auto clash = Policy::compile(std::vector{a, sequence("b", {1, 1, 3})}, 30s);
  REQUIRE_FALSE(clash);
  CHECK(clash.error().text.find("under another rhythm") != std::string::npos);
  CHECK(Policy::compile(std::vector{a, sequence("b", {1, 3})}, 30s)
            .has_value()); // one step in common has no gap
  auto slower = a;
  slower.steps[2].pause = 2s;
  const auto other = *Policy::compile(std::vector{slower}, 30s);
  CHECK(other.carry_over(policy)[walk(policy, {1})] != 0);
  CHECK(other.carry_over(policy)[walk(policy, {1, 1, 2})] == 0); // another rule
}

TEST_CASE("an image holds kinds, rules of gaps and what closes, and refuses kinds that cannot be") {
  auto a = sequence("a", {1, 1, 2});
  a.steps[2].pause = 1s;
  auto b = sequence("b", {7});
  b.closes = true;
  b.steps.push_back({{{Protocol::udp, 5}, 0, {}, "word"}});
  b.steps.push_back({{{Protocol::udp, 5}, 0, 9}});
  b.steps.push_back({{echo_request(Protocol::icmp6)}});
  b.steps.push_back({{{Protocol::tcp, 5}, kTcpFin}});
  const auto policy = *Policy::compile(std::vector{a, b}, 30s);
  const auto image = policy.encode();
  const auto read = Policy::decode(image);
  REQUIRE(read);
  CHECK(std::ranges::equal(read->kinds().special(), policy.kinds().special()));
  CHECK(policy.kinds().special().size() == 4);
  CHECK(read->gaps(*read->edge(walk(*read, {1, 1}), tcp(2))).least == 750ms / kTick);
  CHECK(read->sequence(1).closes);
  CHECK_FALSE(read->sequence(0).closes);
  CHECK(read->encode() == image);
  for (std::size_t size = 0; size < image.size(); ++size)
    CHECK_FALSE(Policy::decode(std::span(image).first(size)));
  auto wild = image;
  wild[image.size() - 4] = std::byte{0xff}; // the size of the last word
  CHECK_FALSE(Policy::decode(wild));
}

TEST_CASE("a policy of more edges than its image may hold is refused where it is compiled") {
  std::vector<Sequence> doors; // of six steps from 25 ports, in any order: few nodes, many edges
  for (unsigned i = 0; doors.size() < 10'000; ++i) {
    std::set<unsigned> ports;
    std::mt19937 random(i);
    while (ports.size() < 6) ports.insert(1 + static_cast<unsigned>(random()) % 25);
    doors.push_back(sequence("d" + std::to_string(i), {ports.begin(), ports.end()}));
    doors.back().any_order = true;
  }
  std::set<std::vector<Step>> seen;
  std::erase_if(doors, [&](const Sequence& door) { return !seen.insert(door.steps).second; });
  const auto policy = Policy::compile(doors, 30s);
  REQUIRE_FALSE(policy);
  CHECK(policy.error().text.find(" edges, 262144 is the most") != std::string::npos);
}

TEST_CASE("10,000 words at one port compile at once, and more kinds than fit are refused") {
  std::vector<Sequence> doors;
  for (unsigned i = 0; i < 10'000; ++i) {
    doors.push_back(sequence("d" + std::to_string(i), {}));
    doors.back().steps = {{{{Protocol::udp, 5}, 0, {}, "word number " + std::to_string(i) + "."}}};
  }
  CHECK(Policy::compile(doors, 30s).has_value());
  for (unsigned i = 0; i < 7'000; ++i) {
    doors.push_back(sequence("e" + std::to_string(i), {}));
    doors.back().steps = {{{{Protocol::udp, 5}, 0, static_cast<std::uint16_t>(i)}}};
  }
  REQUIRE_FALSE(Policy::compile(doors, 30s));
}
