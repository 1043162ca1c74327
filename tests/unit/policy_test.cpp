// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/policy.hpp>

#include <doctest/doctest.h>

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
  CHECK(most_nodes(3, true) == 5);
  CHECK(most_nodes(3, false) == 3);
  CHECK(most_nodes(0, true) == 0);
  const auto* out = policy.edge(0, tcp(2));
  REQUIRE(out != nullptr);
  CHECK(out->out);
  const auto* back = policy.edge(out->forward, tcp(1));
  REQUIRE(back != nullptr);
  CHECK(back->back == walk(policy, {1, 2}));
  CHECK(back->late == walk(policy, {1}));
  CHECK(back->reorder == ticks_in(50ms));
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
  CHECK(policy.error().what == "doors a and b have the same sequence");
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
  constexpr std::size_t kFirstNode = 20; // behind the head
  constexpr std::size_t kNode = 12;
  auto wild = image;
  wild[kFirstNode + kNode + 4] = std::byte{9}; // the first step's parent, beyond the node itself
  CHECK_FALSE(Policy::decode(wild));
}
