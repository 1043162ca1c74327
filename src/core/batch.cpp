// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/batch.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace knock {
namespace {

using Changes = std::vector<const Change*>;

void add_chunk(std::vector<BatchPart>& parts, GrantSet set, Family family, Changes chunk,
               bool removals_there) {
  using Act = BatchPart::Act;
  Changes puts;
  std::copy_if(chunk.begin(), chunk.end(), std::back_inserter(puts),
               [](const Change* change) { return change->kind == Change::Kind::put; });
  const bool removes = puts.size() < chunk.size();
  const auto& held = removals_there ? puts : chunk;
  const bool holds = !held.empty();
  if (holds) parts.push_back({set, family, Act::hold, held, true, removes});
  parts.push_back({set, family, Act::remove, std::move(chunk), !holds, removes});
  if (!puts.empty()) parts.push_back({set, family, Act::put, std::move(puts), false, removes});
}

} // namespace

std::string_view set_name(GrantSet set, Family family) {
  constexpr std::array<std::string_view, 6> kIpv4{"open4", "net4", "uses4", "session4", "forward4", "range4"};
  constexpr std::array<std::string_view, 6> kIpv6{"open6", "net6", "uses6", "session6", "forward6", "range6"};
  return (family == Family::ipv4 ? kIpv4 : kIpv6)[static_cast<std::size_t>(set)];
}

std::vector<BatchPart> parts_of(const Batch& batch, std::size_t most, bool removals_there) {
  std::vector<BatchPart> parts;
  const auto add = [&](GrantSet set, Family family, auto&& belongs) {
    Changes chunk;
    for (const auto& change : batch) {
      if (change.key.source.family != family || change.key.set != set || !belongs(change)) continue;
      chunk.push_back(&change);
      if (chunk.size() == most) add_chunk(parts, set, family, std::exchange(chunk, {}), removals_there);
    }
    if (!chunk.empty()) add_chunk(parts, set, family, std::move(chunk), removals_there);
  };
  for (const auto set : kGrantSets)
    for (const auto family : {Family::ipv4, Family::ipv6})
      if (set == GrantSet::range)
        for (const auto kind : {Change::Kind::remove, Change::Kind::put})
          add(set, family, [&](const Change& change) { return change.kind == kind; });
      else
        add(set, family, [](const Change&) { return true; });
  return parts;
}

} // namespace knock
