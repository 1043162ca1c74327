// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/batch.hpp>

namespace knock {

std::string_view set_name(GrantSet set, Family family) {
  constexpr std::array<std::string_view, 5> kIpv4{"open4", "net4", "uses4", "session4", "forward4"};
  constexpr std::array<std::string_view, 5> kIpv6{"open6", "net6", "uses6", "session6", "forward6"};
  return (family == Family::ipv4 ? kIpv4 : kIpv6)[static_cast<std::size_t>(set)];
}

} // namespace knock
