// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/binding.hpp>

#include <algorithm>
#include <array>

namespace knock {
namespace {

constexpr Prefix v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t length) {
  return {{Family::ipv4, {a, b, c}}, length};
}
constexpr Prefix v6(std::uint16_t first, std::uint16_t second, std::uint8_t length) {
  return {{Family::ipv6,
           {static_cast<std::uint8_t>(first >> 8U), static_cast<std::uint8_t>(first),
            static_cast<std::uint8_t>(second >> 8U), static_cast<std::uint8_t>(second)}},
          length};
}

// IANA's registries of 2026: what is not globally reachable, and 6to4, whose address is one of IPv4.
constexpr std::array kSpecial4{
    v4(0, 0, 0, 8),     v4(10, 0, 0, 8),      v4(100, 64, 0, 10),  v4(127, 0, 0, 8),    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12), v4(192, 0, 0, 24),    v4(192, 0, 2, 24),   v4(192, 88, 99, 24), v4(192, 168, 0, 16),
    v4(198, 18, 0, 15), v4(198, 51, 100, 24), v4(203, 0, 113, 24), v4(224, 0, 0, 4),    v4(240, 0, 0, 4)};
constexpr Prefix kGlobal6 = v6(0x2000, 0, 3);
constexpr std::array kSpecial6{v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16),
                               v6(0x3fff, 0, 20)};
// Within 2001::/23, and reachable: AMT and AS112.
constexpr std::array kReachable6{v6(0x2001, 3, 32),
                                 Prefix{{Family::ipv6, {0x20, 0x01, 0, 4, 0x01, 0x12}}, 48}};
constexpr Prefix kWellKnownNat64{{Family::ipv6, {0x00, 0x64, 0xff, 0x9b}}, 96};

template<class Prefixes>
bool any_holds(const Prefixes& prefixes, const Address& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

} // namespace

bool is_global(const Address& address) {
  if (address.family == Family::ipv4) return !any_holds(kSpecial4, address);
  if (any_holds(kReachable6, address)) return true;
  return kGlobal6.contains(address) && !any_holds(kSpecial6, address);
}

std::optional<Prefix> nat64_prefix(const Address& answer) {
  if (answer.family != Family::ipv6) return std::nullopt;
  // Where the four octets stand behind a prefix of so many bits (RFC 6052, 2.2); octet 8 is always left out.
  for (const std::uint8_t length : std::array<std::uint8_t, 6>{96, 64, 56, 48, 40, 32}) {
    std::array<std::uint8_t, 4> octets{};
    std::size_t at = length / 8U;
    for (auto& octet : octets) {
      if (at == 8) ++at;
      octet = answer.octets[at++];
    }
    if (octets[0] == 192 && octets[1] == 0 && octets[2] == 0 && (octets[3] == 170 || octets[3] == 171))
      return Prefix{masked(answer, length), length};
  }
  return std::nullopt;
}

std::optional<Binding> binding_of(const Profile& profile, const Address& local, const Address& router,
                                  std::span<const Prefix> nat64) {
  using Source = Profile::Source;
  if (profile.source == Source::bound) return Binding{kn1::Flag::bound, local};
  if (profile.source == Source::address && profile.address && profile.address->family == local.family)
    return Binding{kn1::Flag::bound, profile.address};
  const bool translated = kWellKnownNat64.contains(router) || any_holds(nat64, router);
  if (profile.source != Source::unbound && is_global(local) && !translated)
    return Binding{kn1::Flag::bound, local};
  // An address that is written means that packets shall be bound; of the other family none can be here.
  if (profile.require_source || profile.source == Source::address) return std::nullopt;
  return Binding{};
}

} // namespace knock
