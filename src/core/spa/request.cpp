// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/kn1_client.hpp>

#include <algorithm>

#include "core/spa/layout.hpp"

namespace knock::kn1 {
namespace {

using SourceBytes = std::array<std::uint8_t, 16>;

constexpr SourceBytes kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; // ::ffff:0:0/96, RFC 4291 2.5.5.2
constexpr std::size_t kMappedBits = 12;

bool zeros(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == 0; });
}

Address address_of(Bytes src) {
  Address address;
  if (std::equal(kMapped.begin(), kMapped.begin() + kMappedBits, src.begin())) {
    std::copy(src.begin() + kMappedBits, src.end(), address.octets.begin());
  } else {
    address.family = Family::ipv6;
    std::copy(src.begin(), src.end(), address.octets.begin());
  }
  return address;
}

SourceBytes bytes_of(const Address& address) {
  if (address.family == Family::ipv6) return address.octets;
  auto bytes = kMapped;
  std::copy_n(address.octets.begin(), 4, bytes.begin() + kMappedBits);
  return bytes;
}

} // namespace

tl::expected<Request, Malformed> parse_request(Bytes m) {
  const auto form = tl::unexpected(Malformed::form);
  if (m.size() < kRequestHead) return form;
  if (m[8] < 1 || m[8] > 4) return tl::unexpected(Malformed::op);
  if (m[9] > 2) return form;
  Request request;
  request.door = WireId{number_of(m.first(8))};
  request.op = static_cast<Op>(m[8]);
  request.flag = static_cast<Flag>(m[9]);
  request.ttl = Seconds{static_cast<Seconds::rep>(number_of(m.subspan(12, 4)))};
  const auto args = static_cast<std::size_t>(number_of(m.subspan(10, 2)));
  const auto src = m.subspan(16, 16);
  const auto rest = m.subspan(kRequestHead);
  if (zeros(src) != (request.flag == Flag::unbound)) return form;
  if (request.flag != Flag::unbound) request.src = address_of(src);
  if (args > rest.size() || (args != 0 && request.op != Op::run) || !zeros(rest.subspan(args))) return form;
  request.args = rest.first(args);
  return request;
}

bool encode(const Request& request, std::span<std::uint8_t> m) {
  std::fill(m.begin(), m.end(), std::uint8_t{0});
  constexpr auto kMostSeconds = Seconds{0xffff'ffffU};
  if (m.size() < kRequestHead || request.args.size() > m.size() - kRequestHead) return false;
  if (!request.args.empty() && request.op != Op::run) return false;
  if (request.src.has_value() == (request.flag == Flag::unbound)) return false;
  if (request.ttl < Seconds{0} || request.ttl > kMostSeconds) return false;
  const auto src = request.src ? bytes_of(*request.src) : SourceBytes{};
  if (request.src && zeros(src)) return false;
  put_number(static_cast<std::uint64_t>(request.door), m.first(8));
  m[8] = static_cast<std::uint8_t>(request.op);
  m[9] = static_cast<std::uint8_t>(request.flag);
  put_number(request.args.size(), m.subspan(10, 2));
  put_number(static_cast<std::uint64_t>(request.ttl.count()), m.subspan(12, 4));
  std::copy(src.begin(), src.end(), m.begin() + 16);
  std::copy(request.args.begin(), request.args.end(), m.begin() + kRequestHead);
  return true;
}

} // namespace knock::kn1
