// SPDX-License-Identifier: GPL-2.0-or-later
#include <doctest/doctest.h>

#include <cstring>

#include "keeper/refusals.hpp"

using namespace knock;

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kNoon = 1'795'521'600'000 * kMillisecond; // in November 2026
constexpr kn1::Kid kLaptop{{1, 2, 3, 4, 5, 6, 7, 8}};

Config with_laptop() {
  Config config;
  User alice;
  alice.name = "alice";
  Device laptop;
  laptop.label = "alice/laptop";
  laptop.key.kid = kLaptop;
  alice.devices.push_back(laptop);
  config.users.push_back(alice);
  return config;
}

void note(engine::RefusalPage& page, Kn1Fate fate, std::uint64_t wall) {
  auto& entry = page.entries[static_cast<std::size_t>(page.count.value() % page.entries.size())];
  std::uint64_t kid = 0;
  std::memcpy(&kid, kLaptop.bytes.data(), sizeof kid);
  entry.kid.set(kid);
  entry.fate.set(static_cast<std::uint64_t>(fate));
  entry.wall.set(wall);
  entry.family.set(4);
  page.count.add(1);
}

/// What is shown, where the keeper itself refused for its floor at `own`.
std::string shown(const engine::RefusalPage& page, std::uint64_t own) {
  DeviceReport laptop;
  laptop.device = "alice/laptop";
  laptop.last_refused = LastRefused{"floor", "198.51.100.7", moment_of(own), {}, own};
  UserReport alice;
  alice.devices.push_back(laptop);
  std::vector users{alice};
  keeper::show_refusals(page, with_laptop(), users);
  return users.front().devices.front().last_refused->reason;
}

} // namespace

TEST_CASE("of two refusals in one second the later is shown, whichever process refused") {
  engine::RefusalPage page;
  note(page, Kn1Fate::age, kNoon + 300 * kMillisecond);
  CHECK(shown(page, kNoon + 700 * kMillisecond) == "floor");
  CHECK(shown(page, kNoon + 100 * kMillisecond) == "age");
  note(page, Kn1Fate::ahead, kNoon + 800 * kMillisecond);
  CHECK(shown(page, kNoon + 700 * kMillisecond) == "ahead");
}

TEST_CASE("what no honest engine writes is not shown") {
  engine::RefusalPage page;
  note(page, Kn1Fate::mac, kNoon + 300 * kMillisecond);
  note(page, static_cast<Kn1Fate>(kKn1Fates), kNoon + 400 * kMillisecond);
  note(page, Kn1Fate::age, ~std::uint64_t{0});
  CHECK(shown(page, kNoon) == "floor");
}
