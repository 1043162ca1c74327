// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/refusals.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

namespace knock::keeper {
namespace {

/// What an entry says, if it is one that an honest engine writes.
std::optional<std::pair<kn1::Kid, LastRefused>> refusal_of(const engine::RefusalPage::Entry& entry) {
  constexpr std::uint64_t kSecond = 1'000'000'000, kLatest = 7'258'118'400; // kDates
  const auto fate = entry.fate.value(), family = entry.family.value();
  const auto wall = entry.wall.value(), stamp = entry.stamp.value();
  const bool known = fate > static_cast<std::uint64_t>(Kn1Fate::mac) && fate < kKn1Fates;
  if (!known || wall / kSecond > kLatest || (family != 4 && family != 6)) return std::nullopt;
  Address source{family == 4 ? Family::ipv4 : Family::ipv6, {}};
  const std::array halves{entry.high.value(), family == 4 ? 0 : entry.low.value()};
  std::memcpy(source.octets.data(), halves.data(), sizeof halves);
  if (family == 4) std::fill(source.octets.begin() + 4, source.octets.end(), std::uint8_t{0});
  kn1::Kid kid;
  const auto bits = entry.kid.value();
  std::memcpy(kid.bytes.data(), &bits, sizeof bits);
  const auto reason = static_cast<Kn1Fate>(fate);
  LastRefused refused{std::string(to_string(reason)),
                      to_string(source),
                      Moment{Seconds{static_cast<std::int64_t>(wall / kSecond)}},
                      {},
                      wall};
  if (reason == Kn1Fate::age || reason == Kn1Fate::ahead) {
    const auto ahead =
        static_cast<std::int64_t>(stamp / 1'000'000) - static_cast<std::int64_t>(wall / 1'000'000);
    refused.skew_ms = ahead;
  }
  return std::pair(kid, std::move(refused));
}

} // namespace

void show_refusals(const engine::RefusalPage& page, const Config& config, std::vector<UserReport>& users) {
  std::map<kn1::Kid, LastRefused> last;
  const auto& [count, entries] = page;
  const auto begin = static_cast<std::size_t>(count.value() % entries.size()); // the oldest first
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (auto refusal = refusal_of(entries[(begin + i) % entries.size()]))
      last.insert_or_assign(refusal->first, std::move(refusal->second));
  for (auto& user : users)
    for (auto& report : user.devices) {
      const auto* device = find_device(config, report.device);
      if (device == nullptr) continue;
      for (const auto* key : {&device->key, device->old ? &device->old->key : nullptr}) {
        const auto found = key == nullptr ? last.end() : last.find(key->kid);
        if (found == last.end()) continue;
        if (!report.last_refused || report.last_refused->exact_ns < found->second.exact_ns)
          report.last_refused = found->second;
      }
    }
}

} // namespace knock::keeper
