// SPDX-License-Identifier: GPL-2.0-or-later
// What a rule compares: the fields, and the values they are compared with.
#include <algorithm>
#include <span>

#include "host/json_walk.hpp"
#include "host/match.hpp"

namespace knock::host {
namespace {

using nlohmann::json;

struct Symbol {
  Field field;
  std::string_view name;
  std::uint32_t number;
};
constexpr std::uint32_t kIpv4 = static_cast<std::uint32_t>(Family::ipv4);
constexpr std::uint32_t kIpv6 = static_cast<std::uint32_t>(Family::ipv6);
constexpr std::uint32_t kNoneOfOurs = 0xffff; // a name that no packet we ask about bears: "sctp", "blackhole"
// Source: linux/netfilter/nf_conntrack_common.h, nf_tables.h, tcp.h, rtnetlink.h.
constexpr Symbol kSymbols[] = {
    {Field::state, "invalid", 1},       {Field::state, "established", 2},
    {Field::state, "related", 4},       {Field::state, "new", 8},
    {Field::state, "untracked", 64},    {Field::status, "expected", 1},
    {Field::status, "seen-reply", 2},   {Field::status, "assured", 4},
    {Field::status, "confirmed", 8},    {Field::status, "snat", 16},
    {Field::status, "dnat", 32},        {Field::status, "dying", 512},
    {Field::flags, "fin", 1},           {Field::flags, "syn", 2},
    {Field::flags, "rst", 4},           {Field::flags, "psh", 8},
    {Field::flags, "ack", 16},          {Field::flags, "urg", 32},
    {Field::flags, "ecn", 64},          {Field::flags, "cwr", 128},
    {Field::family, "ipv4", kIpv4},     {Field::family, "ipv6", kIpv6},
    {Field::family, "ip", kIpv4},       {Field::family, "ip6", kIpv6},
    {Field::protocol, "icmp", 1},       {Field::protocol, "tcp", 6},
    {Field::protocol, "udp", 17},       {Field::protocol, "icmpv6", 58},
    {Field::zero, "original", 0},       {Field::zero, "host", 0},
    {Field::zero, "unicast", 0},        {Field::zero, "broadcast", 1},
    {Field::zero, "multicast", 2},      {Field::zero, "reply", 1},
    {Field::protocol, "ipv6-icmp", 58}, {Field::icmp_type, "echo-request", kEchoRequest}};
constexpr Symbol kRoutes[] = {{Field::source_type, "unicast", 1},
                              {Field::source_type, "local", 2},
                              {Field::source_type, "broadcast", 3},
                              {Field::source_type, "anycast", 4},
                              {Field::source_type, "multicast", 5}};

Word word_of(std::uint64_t number) {
  Word word{};
  for (std::size_t i = 0; i < sizeof number; ++i)
    word[word.size() - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return word;
}

std::optional<Interval> named_value(Field field, std::string_view text) {
  if (field == Field::in || field == Field::out) {
    if (!text.ends_with('*')) return interval_of(text);
    text.remove_suffix(1);
    auto any = interval_of(text);
    for (auto i = std::min(text.size(), any.last.size()); i < any.last.size(); ++i) any.last[i] = 0xff;
    return any;
  }
  if (field == Field::source || field == Field::destination) {
    const auto address = parse_address(text);
    return address ? std::optional(
                         interval_of({*address, static_cast<std::uint8_t>(address->bytes().size() * 8)}))
                   : std::nullopt;
  }
  const bool route = field == Field::destination_type || field == Field::source_type;
  bool has_names = false;
  for (const auto& [of, name, number] : route ? std::span<const Symbol>(kRoutes) : kSymbols) {
    if (!route && of != field) continue;
    if (name == text) return interval_of(number);
    has_names = true;
  }
  return has_names ? std::optional(interval_of(kNoneOfOurs)) : std::nullopt;
}

/// Bits that are set together: `syn | ack`.
std::optional<Interval> read_bits(Field field, const json& values) {
  Interval bits;
  for (const auto& one : values) {
    const auto bit = read_value(field, one);
    if (!bit || bit->first != bit->last) return std::nullopt;
    for (std::size_t i = 0; i < bits.first.size(); ++i) bits.first[i] |= bit->first[i];
  }
  bits.last = bits.first;
  return bits;
}

Asked read_payload(const json& payload) {
  static constexpr std::pair<std::string_view, Field> kFields[] = {
      {"saddr", Field::source},      {"daddr", Field::destination}, {"protocol", Field::protocol},
      {"sport", Field::source_port}, {"dport", Field::port},        {"nexthdr", Field::protocol},
      {"frag-off", Field::zero},     {"flags", Field::flags},       {"type", Field::family}};
  static constexpr std::pair<std::string_view, Protocol> kProtocols[] = {
      {"tcp", Protocol::tcp}, {"udp", Protocol::udp}, {"icmp", Protocol::icmp}, {"icmpv6", Protocol::icmp6}};
  static constexpr std::string_view kOthers[] = {"sctp", "dccp", "esp", "ah", "comp", "igmp", "udplite"};
  const auto protocol = word(payload, "protocol");
  Asked asked{Field::open, word(payload, "field")};
  const bool ip = protocol == "ip" || protocol == "ip6";
  if (ip)
    asked.family = static_cast<std::uint8_t>(protocol == "ip" ? kIpv4 : kIpv6);
  else if (const auto* known = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                            [&](const auto& one) { return one.first == protocol; });
           known != std::end(kProtocols))
    asked.protocol = static_cast<std::uint8_t>(known->second);
  else if (std::find(std::begin(kOthers), std::end(kOthers), protocol) != std::end(kOthers))
    asked.protocol = 0xff;
  else if (protocol != "th" && protocol != "ether")
    return {Field::unjudged, asked.what};
  const bool ether = protocol == "ether";
  if (ether && asked.what == "saddr") asked.field = Field::zero; // of some neighbour, and none is ordinary
  for (const auto& [name, field] : kFields)
    if (name == asked.what && ether == (field == Field::family) &&
        (ip || (field != Field::source && field != Field::destination && field != Field::zero)))
      asked.field = field;
  if (protocol.starts_with("icmp") && asked.what == "type") asked.field = Field::icmp_type;
  if (protocol.starts_with("icmp") && asked.what == "code") asked.field = Field::zero;
  return asked;
}

struct KnownMatch {
  std::string_view kind, key;
  Field field;
};
constexpr KnownMatch kMatches[] = {{"meta", "nfproto", Field::family},
                                   {"meta", "protocol", Field::family},
                                   {"meta", "l4proto", Field::protocol},
                                   {"meta", "iifname", Field::in},
                                   {"meta", "iif", Field::in},
                                   {"meta", "oifname", Field::out},
                                   {"meta", "oif", Field::out},
                                   {"meta", "mark", Field::mark},
                                   {"meta", "pkttype", Field::zero},
                                   {"meta", "hour", Field::open},
                                   {"meta", "day", Field::open},
                                   {"meta", "time", Field::open},
                                   {"meta", "length", Field::open},
                                   {"ct", "state", Field::state},
                                   {"ct", "state or nat", Field::state_or_nat},
                                   {"ct", "status", Field::status},
                                   {"ct", "direction", Field::zero},
                                   {"ct", "mark", Field::zero},
                                   {"tcp option", "", Field::open},
                                   {"exthdr", "", Field::zero},
                                   {"ipset", "", Field::open},
                                   {"numgen", "", Field::open},
                                   {"jhash", "", Field::open},
                                   {"symhash", "", Field::open}};

Asked read_fib(const json& fib) {
  const auto& flags = at_or_null(fib, "flags");
  const bool source = flags.is_array() && std::find(flags.begin(), flags.end(), "saddr") != flags.end();
  if (word(fib, "result") == "type") return {source ? Field::source_type : Field::destination_type, "fib"};
  return {source ? Field::route : Field::unjudged, "fib"};
}

/// One expression that is no concatenation.
Asked read_one(const json& left) {
  const auto [kind, inner] = only(left);
  if (inner == nullptr) return {Field::unjudged, "an expression"};
  if (kind == "payload") return read_payload(*inner);
  if (kind == "fib") return read_fib(*inner);
  if (kind == "&" && inner->is_array() && inner->size() == 2) {
    auto asked = read_one((*inner)[0]);
    const auto mask = read_value(asked.field, (*inner)[1]);
    if (!mask) return {Field::unjudged, asked.what};
    asked.mask = mask->first;
    return asked;
  }
  const auto key = word(*inner, "key");
  for (const auto& known : kMatches)
    if (known.kind == kind && (known.key.empty() || known.key == key))
      return {known.field, key.empty() ? kind : key};
  return {Field::unjudged, key.empty() ? kind : key};
}

} // namespace

Interval interval_of(std::uint64_t number) {
  return {word_of(number), word_of(number)};
}
Interval interval_of(std::string_view name) {
  Interval same;
  std::copy_n(name.begin(), std::min(name.size(), same.first.size()), same.first.begin());
  same.last = same.first;
  return same;
}
Interval interval_of(const Prefix& prefix) {
  Interval range;
  const auto bytes = prefix.address.bytes();
  const auto begin = range.first.size() - bytes.size();
  std::copy(bytes.begin(), bytes.end(), range.first.begin() + static_cast<std::ptrdiff_t>(begin));
  range.last = range.first;
  for (std::size_t bit = prefix.length; bit < bytes.size() * 8; ++bit)
    range.last[begin + bit / 8] |= static_cast<std::uint8_t>(0x80U >> (bit % 8));
  return range;
}

std::optional<Interval> read_value(Field field, const json& value) {
  if (value.is_boolean()) return interval_of(value.get<bool>() ? 1U : 0U);
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (field != Field::family) return interval_of(number);
    return interval_of(number == 2 ? kIpv4 : number == 10 ? kIpv6 : kNoneOfOurs); // AF_INET, AF_INET6
  }
  if (value.is_string()) return named_value(field, text_of(value));
  if (value.is_array()) return read_bits(field, value);
  const auto [kind, inner] = only(value);
  if (kind == "|") return read_bits(field, *inner);
  if (kind == "prefix") {
    const auto address = parse_address(word(*inner, "addr"));
    const auto& length = at_or_null(*inner, "len");
    if (!address || !length.is_number_unsigned() || length.get<std::uint64_t>() > address->bytes().size() * 8)
      return std::nullopt;
    const auto bits = length.get<std::uint8_t>();
    return interval_of({masked(*address, bits), bits});
  }
  if (kind != "range" || !inner->is_array() || inner->size() != 2) return std::nullopt;
  const auto first = read_value(field, (*inner)[0]);
  const auto last = read_value(field, (*inner)[1]);
  if (!first || !last) return std::nullopt;
  return Interval{first->first, last->last};
}

std::vector<Asked> read_asked(const json& left) {
  const auto& parts = at_or_null(left, "concat");
  if (!parts.is_array()) return {read_one(left)};
  std::vector<Asked> asked;
  for (const auto& one : parts) asked.push_back(read_one(one));
  return asked;
}

} // namespace knock::host
