// SPDX-License-Identifier: GPL-2.0-or-later
/// A rough line: what becomes of a knock on its way. One packet in a hundred comes twice, one in a hundred 30 ms late, one
/// pair of neighbours in ten swapped, and each knock has a stray beside it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <random>
#include <vector>

namespace rough {

struct Arrival {
  std::chrono::microseconds at{0}; ///< behind the first packet sent
  std::size_t step = 0;            ///< which step it is; kStray: none
  static constexpr std::size_t kStray = ~std::size_t{0};
};

/// `gap`: between two packets as the client sends them.
inline std::vector<Arrival> line(std::size_t steps, std::chrono::microseconds gap, std::mt19937& random) {
  using std::chrono::microseconds;
  const auto one_in = [&](unsigned many) { return random() % many == 0; };
  std::vector<std::size_t> order(steps);
  for (std::size_t i = 0; i < steps; ++i) order[i] = i;
  for (std::size_t i = 0; i + 1 < steps; ++i)
    if (gap < microseconds{1'000} && one_in(10)) {
      std::swap(order[i], order[i + 1]);
      ++i;
    }
  std::vector<Arrival> arrivals;
  for (std::size_t i = 0; i < steps; ++i) {
    const auto at = gap * static_cast<long>(i) + microseconds{static_cast<long>(i)};
    const auto late = one_in(100) ? microseconds{30'000} : microseconds{0};
    arrivals.push_back({at + late, order[i]});
    if (one_in(100)) arrivals.push_back({at + late + microseconds{random() % 2'000}, order[i]});
  }
  const auto whole = static_cast<long>((gap * static_cast<long>(steps)).count()) + 1;
  arrivals.push_back({microseconds{static_cast<long>(random()) % whole}, Arrival::kStray});
  std::stable_sort(arrivals.begin(), arrivals.end(),
                   [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  return arrivals;
}

} // namespace rough
