// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/nearest.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace knock {
namespace {

/// Optimal string alignment: insert, delete, replace, swap of neighbours. Both words are short.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::vector<std::size_t> next(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        next[j] = std::min(next[j], last[j - 2] + 1);
    }
    last.swap(row);
    row.swap(next);
  }
  return row[b.size()];
}

} // namespace

std::string_view nearest(std::string_view wrong, std::span<const std::string_view> known) {
  constexpr std::size_t kMaxEdits = 2;
  std::string_view best;
  auto edits = std::min(kMaxEdits, wrong.size() / 2) + 1;
  for (const auto word : known) {
    if (word.size() > wrong.size() + kMaxEdits || wrong.size() > word.size() + kMaxEdits) continue;
    if (const auto found = distance(wrong, word); found < edits) {
      edits = found;
      best = word;
    }
  }
  return best;
}

} // namespace knock
