// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/match.hpp"

#include <algorithm>

#include "host/json_walk.hpp"

namespace knock::host {
namespace {

using nlohmann::json;

/// Of a packet without a connection: what conntrack makes of TCP flags with which none begins.
/// Source: tcp_conntracks and tcp_valid_flags of net/netfilter/nf_conntrack_proto_tcp.c.
unsigned state_of(const Packet& packet) {
  constexpr unsigned kInvalid = 1, kNew = 8;
  const auto flags = packet.flags & (kTcpSix ^ kTcpPsh ^ kTcpUrg);
  return packet.protocol != Protocol::tcp || flags == kTcpSyn || flags == kTcpAck ? kNew : kInvalid;
}

/// What a field of the packet may hold; nothing: anything.
Words held(const Packet& packet, const Chain& base, bool marks, Field field) {
  const bool early = base.hook == "ingress" || (base.hook == "prerouting" && base.priority < kConntrack);
  Words words;
  switch (field) {
  case Field::destination:
    for (const auto& prefix : packet.destinations) words.push_back(interval_of(prefix));
    return words;
  case Field::port:
    for (const auto& [first, last] : packet.ports)
      words.push_back({interval_of(first).first, interval_of(last).last});
    return words;
  case Field::family: return {interval_of(static_cast<std::uint64_t>(packet.family))};
  case Field::protocol: return {interval_of(static_cast<std::uint64_t>(packet.protocol))};
  case Field::source_port: return {{interval_of(1024).first, interval_of(65'535).last}};
  case Field::in: return packet.in.empty() ? Words{} : Words{interval_of(packet.in)};
  case Field::out: return packet.here || !packet.out.empty() ? Words{interval_of(packet.out)} : Words{};
  case Field::state: return {interval_of(early ? 1U : state_of(packet))}; // invalid: none yet
  case Field::state_or_nat:
    return {interval_of((early ? 1U : state_of(packet)) | (packet.translated ? 128U : 0U))};
  case Field::status: return {interval_of(packet.translated ? 32U : 0U)};
  case Field::mark: return marks ? Words{} : Words{interval_of(packet.mark)};
  case Field::flags: return {interval_of(packet.flags)};
  case Field::icmp_type: return {interval_of(kEchoRequest)};
  case Field::destination_type: return {interval_of(packet.here ? 2U : 1U)}; // local, unicast
  case Field::source_type:
  case Field::route: return {interval_of(1)}; // unicast; there is one
  case Field::zero: return {interval_of(0)};
  default: return {};
  }
}

Word masked(Word word, const Word& mask) {
  for (std::size_t i = 0; i < word.size(); ++i) word[i] &= mask[i];
  return word;
}

/// Most of what may knock: half of IPv4, or of global IPv6 (2000::/3). Less is some sources, and none of them ours.
bool from_anywhere(const Interval& range) {
  const bool six =
      std::any_of(range.last.begin(), range.last.begin() + 12, [](std::uint8_t byte) { return byte != 0; });
  const std::size_t at = six ? 0 : 12;
  return range.last[at] - range.first[at] >= (six ? 0x0f : 0x7f);
}

Answer compare(const Asked& asked, bool any_bit, const Interval& value, const Interval& range) {
  if (!asked.mask && !any_bit) {
    if (value.last < range.first || range.last < value.first) return Answer::no;
    return range.first <= value.first && value.last <= range.last ? Answer::yes : Answer::depends;
  }
  if (value.first != value.last) return Answer::depends;
  if (any_bit) return masked(value.first, range.first) != Word{} ? Answer::yes : Answer::no;
  const auto rest = masked(value.first, *asked.mask);
  return range.first <= rest && rest <= range.last ? Answer::yes : Answer::no;
}

/// Of one field: all that it may hold, against what any of `ranges` takes.
Answer judge_field(const Asked& asked, bool any_bit, const Words& values, const Words& ranges) {
  if (asked.field == Field::source)
    return !asked.mask && std::any_of(ranges.begin(), ranges.end(), from_anywhere) ? Answer::yes : Answer::no;
  if (values.empty()) return ranges.empty() ? Answer::no : Answer::depends;
  std::optional<Answer> all;
  for (const auto& value : values) {
    auto best = Answer::no;
    for (const auto& range : ranges) {
      const auto answer = compare(asked, any_bit, value, range);
      if (answer == Answer::yes || best == Answer::no) best = answer;
      if (best == Answer::yes) break;
    }
    if (all.value_or(best) != best) return Answer::depends;
    all = best;
  }
  return *all;
}

/// `< 10`, `>= 10`: as the range that it means, or does not mean.
void widen(std::string_view op, Interval& range) {
  if (op == "<" || op == ">=") range.last.fill(0xff);
  if (op == ">" || op == "<=") range.first.fill(0);
}

const json& part(const json& value, std::size_t i) {
  static const json kNull;
  const auto& whole = only(value).first == "elem" ? at_or_null(*only(value).second, "val") : value;
  const auto& parts = at_or_null(whole, "concat");
  return !parts.is_array() ? (i == 0 ? whole : kNull) : i < parts.size() ? parts[i] : kNull;
}

} // namespace

Judge::Judge(const Packet& packet, const Firewall& firewall, const Chain& base)
    : packet_(packet), firewall_(firewall) {
  for (std::size_t i = 0; i < held_.size(); ++i)
    held_[i] = held(packet, base, firewall.sets_marks, static_cast<Field>(i));
}

bool Judge::fits(const Asked& asked) const {
  return (asked.family == 0 || asked.family == static_cast<std::uint8_t>(packet_.family)) &&
         (asked.protocol == 0 || asked.protocol == static_cast<std::uint8_t>(packet_.protocol));
}

const json* Judge::values_in(const json& right, const Chain& chain) const {
  const auto [kind, inner] = only(right);
  if (kind == "set") return inner;
  if (!text_of(right).starts_with('@')) return &right;
  const auto set = firewall_.sets.find({chain.family, chain.table, std::string(text_of(right).substr(1))});
  return set != firewall_.sets.end() && set->second.elements ? &*set->second.elements : nullptr;
}

Answer Judge::judge(const std::vector<Asked>& asked, const json& value) const {
  auto all = Answer::yes;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (!fits(asked[i])) return Answer::no;
    auto answer = asked[i].field == Field::open ? Answer::depends : Answer::unjudged;
    if (const auto range =
            asked[i].field < Field::open ? read_value(asked[i].field, part(value, i)) : std::nullopt)
      answer = judge_field(asked[i], false, held_[static_cast<std::size_t>(asked[i].field)], {*range});
    if (answer == Answer::no) return Answer::no;
    all = std::max(all, answer);
  }
  return all;
}

Answer Judge::judge_list(const std::vector<Asked>& asked, std::string_view op, const json& values) const {
  if (asked.size() > 1) {
    auto best = Answer::no;
    for (const auto& value : values)
      if (const auto answer = judge(asked, value); answer == Answer::yes || best == Answer::no) {
        best = answer;
        if (best == Answer::yes) break;
      }
    return best;
  }
  const auto field = asked[0].field;
  Words ranges;
  for (const auto& value : values) {
    auto range = read_value(field, part(value, 0));
    if (!range) return Answer::unjudged;
    widen(op, *range);
    ranges.push_back(*range);
  }
  return judge_field(asked[0], op.ends_with("in"), held_[static_cast<std::size_t>(field)], ranges);
}

Answer Judge::judge(const json& match, const Chain& chain) const {
  const auto asked = read_asked(at_or_null(match, "left"));
  const auto op = word(match, "op");
  auto unsure = Answer::no;
  bool some_sources = false;
  for (const auto& one : asked) {
    if (!fits(one)) return Answer::no;
    if (one.field >= Field::open)
      unsure = std::max(unsure, one.field == Field::open ? Answer::depends : Answer::unjudged);
    some_sources = some_sources || one.field == Field::source;
  }
  if (unsure != Answer::no || asked.empty()) return asked.empty() ? Answer::unjudged : unsure;
  const auto& right = at_or_null(match, "right");
  const auto* values = values_in(right, chain);
  if (values == nullptr && !some_sources) return Answer::unjudged;
  // A set of sources holds some of them; an ordinary one is not in it.
  const auto answer = values == nullptr  ? Answer::no
                      : values == &right ? judge_list(asked, op, json::array({right}))
                                         : judge_list(asked, op, *values);
  const bool negated = op.starts_with('!') || op == "<" || op == ">";
  if (!negated || answer > Answer::yes) return answer;
  return answer == Answer::yes ? Answer::no : Answer::yes;
}

} // namespace knock::host
