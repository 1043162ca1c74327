// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/completed.hpp>

#include <algorithm>
#include <cstring>

namespace knock {
namespace {

bool is_record(const Completed& grant) {
  const auto zero = [](std::uint8_t octet) { return octet == 0; };
  if (!std::all_of(std::begin(grant.reserved), std::end(grant.reserved), zero)) return false;
  const auto& octets = grant.source.octets;
  if (grant.source.family == Family::ipv4) return std::all_of(octets.begin() + 4, octets.end(), zero);
  return grant.source.family == Family::ipv6;
}

} // namespace

bool parse_completed(std::span<const std::byte> datagram, std::vector<Completed>& out) {
  const auto count = datagram.size() / sizeof(Completed);
  if (datagram.size() % sizeof(Completed) != 0 || count == 0 || count > kMaxCompleted) return false;
  const auto before = out.size();
  for (std::size_t i = 0; i < count; ++i) {
    Completed grant;
    std::memcpy(&grant, datagram.data() + i * sizeof(Completed), sizeof(Completed));
    if (!is_record(grant)) {
      out.resize(before);
      return false;
    }
    out.push_back(grant);
  }
  return true;
}

} // namespace knock
