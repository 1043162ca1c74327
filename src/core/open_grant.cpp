// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/open_grant.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include <fmt/format.h>

#include <knock/limits.hpp>

namespace knock {
namespace {

constexpr std::array<std::string_view, 6> kVias{"knock", "kn1", "hand", "session", "fleet", "foreign"};

std::int64_t seconds_of(Instant at) {
  return std::chrono::floor<Seconds>(at.time_since_epoch()).count();
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end || number < 0) return std::nullopt;
  return number;
}

std::optional<Instant> parse_seconds(std::string_view text) {
  const auto seconds = parse_number(text);
  if (!seconds || *seconds > std::chrono::floor<Seconds>(kMaxClock).count()) return std::nullopt;
  return Instant{Seconds{*seconds}};
}

/// Whether it can stand in nft's text and on a screen as it is: an element's comment may be of another hand.
bool is_plain(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./:@").find(c) != std::string_view::npos;
  });
}

/// Between single spaces; nothing when one is empty.
std::optional<std::vector<std::string_view>> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (;;) {
    const auto space = text.find(' ');
    words.push_back(text.substr(0, space));
    if (words.back().empty()) return std::nullopt;
    if (space == std::string_view::npos) return words;
    text.remove_prefix(space + 1);
  }
}

template<class T>
std::vector<T> united(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> both;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

/// A port leads to one place: where the request says, if it says.
std::vector<Lead> led(const std::vector<Lead>& old, const std::vector<Lead>& asked) {
  auto leads = asked;
  for (const auto& lead : old)
    if (std::none_of(asked.begin(), asked.end(), [&](const Lead& one) { return one.outer == lead.outer; }))
      leads.push_back(lead);
  std::sort(leads.begin(), leads.end());
  return leads;
}

bool is_prefix(const GrantRequest& request) {
  return request.prefix < 8 * request.source.bytes().size();
}

GrantSet set_for(const GrantRequest& request) {
  if (request.via == Via::session) return GrantSet::session;
  if (request.uses != 0) return GrantSet::uses;
  return is_prefix(request) ? GrantSet::net : GrantSet::open;
}

} // namespace

std::string_view to_string(Via via) {
  return kVias[static_cast<std::size_t>(via)];
}

std::string_view to_string(Close close) {
  constexpr std::array<std::string_view, 3> kWords{"after", "on-idle", "on-disconnect"};
  return kWords[static_cast<std::size_t>(close)];
}

std::uint8_t prefix_of(const OpenGrant& grant) {
  const bool ipv4 = grant.source.family == Family::ipv4;
  if (grant.set == GrantSet::net) return ipv4 ? 24 : 64;
  return ipv4 ? 32 : 128;
}

std::vector<std::string> port_texts(const OpenGrant& grant) {
  std::vector<std::string> texts;
  for (Port port : grant.ports)
    if (port != kNoPort) texts.push_back(to_string(port));
  for (const auto& range : grant.ranges) texts.push_back(to_string(range));
  return texts;
}

std::string source_text(const OpenGrant& grant) {
  return grant.set == GrantSet::net ? to_string(Prefix{grant.source, prefix_of(grant)})
                                    : to_string(grant.source);
}

bool lets_in(const OpenGrant& grant, const Address& source) {
  return Prefix{grant.source, prefix_of(grant)}.contains(source);
}

bool holds(const OpenGrant& grant, Port port) {
  return std::binary_search(grant.ports.begin(), grant.ports.end(), port) ||
         std::any_of(grant.ranges.begin(), grant.ranges.end(),
                     [&](const PortRange& range) { return holds(range, port); });
}

bool holds(const OpenGrant& grant, const GrantKey& key) {
  if (grant.source != key.source || grant.source_port != key.source_port) return false;
  if (key.set == GrantSet::forward) return target_of(grant, key.port) != nullptr;
  if (key.set == GrantSet::range)
    return std::binary_search(grant.ranges.begin(), grant.ranges.end(), range_of(key));
  return key.set == grant.set && std::binary_search(grant.ports.begin(), grant.ports.end(), key.port);
}

bool on_disconnect(const OpenGrant& grant) {
  return grant.terms.close == Close::on_disconnect;
}

bool is_spent(const OpenGrant& grant) {
  return grant.set == GrantSet::uses && grant.uses_left == 0;
}

const Target* target_of(const OpenGrant& grant, Port port) {
  const auto lead = std::find_if(grant.leads.begin(), grant.leads.end(),
                                 [&](const Lead& one) { return one.outer == port; });
  return lead == grant.leads.end() ? nullptr : &lead->target;
}

std::vector<GrantKey> keys_of(const OpenGrant& grant) {
  std::vector<GrantKey> keys;
  keys.reserve(grant.ports.size() + grant.ranges.size() + grant.leads.size());
  for (Port port : grant.ports) keys.push_back({grant.source, port, grant.set, grant.source_port});
  for (const auto& [first, last] : grant.ranges)
    keys.push_back({grant.source, first, GrantSet::range, 0, last.number});
  for (const auto& lead : grant.leads) keys.push_back({grant.source, lead.outer, GrantSet::forward});
  return keys;
}

std::string tag_of(const kn1::Kid& kid) {
  return fmt::format("{:02x}{:02x}{:02x}", kid.bytes[0], kid.bytes[1], kid.bytes[2]);
}

std::string comment_of(const OpenGrant& grant) {
  constexpr std::size_t kMost = 128; // nft reads no longer one
  const auto with = [&](const std::string& by) {
    auto text = fmt::format("{} {} {} {} {}", grant.door, by, to_string(grant.via), seconds_of(grant.opened),
                            seconds_of(grant.cap));
    return grant.set == GrantSet::uses ? fmt::format("{} {}", text, grant.uses_left) : text;
  };
  if (grant.key.empty()) return with(grant.by);
  auto text = with(fmt::format("{}@{}", grant.by, grant.key));
  return text.size() <= kMost ? text : with(grant.by);
}

std::optional<OpenGrant> parse_comment(std::string_view comment) {
  const auto words = words_of(comment);
  if (!words || words->size() < 5 || words->size() > 6 || !is_plain((*words)[0]) || !is_plain((*words)[1]))
    return std::nullopt;
  const auto via = std::find(kVias.begin(), kVias.end(), (*words)[2]);
  const auto opened = parse_seconds((*words)[3]);
  const auto cap = parse_seconds((*words)[4]);
  const auto uses = words->size() == 6 ? parse_number((*words)[5]) : 0;
  if (via == kVias.end() || !opened || !cap || !uses || *uses > 1'000'000) return std::nullopt;
  OpenGrant grant;
  grant.door = (*words)[0];
  grant.by = (*words)[1];
  grant.via = static_cast<Via>(via - kVias.begin());
  if (const auto at = grant.by.find('@'); at != std::string::npos && grant.via == Via::kn1) {
    grant.key = grant.by.substr(at + 1);
    grant.by.resize(at);
    if (grant.by.empty() || grant.key.empty()) return std::nullopt;
  }
  grant.opened = *opened;
  grant.cap = *cap;
  grant.uses_left = static_cast<std::uint32_t>(*uses);
  return grant;
}

bool is_owner(const OpenGrant& grant, const GrantRequest& request) {
  return std::tie(grant.door, grant.by, grant.via, grant.source_port) ==
             std::tie(request.door, request.by, request.via, request.source_port) &&
         grant.source == masked(request.source, prefix_of(grant)) && grant.set == set_for(request) &&
         (request.via != Via::session || grant.ports == request.ports); // each connection has its own
}

GrantRequest request_for(const Door& door, const Address& source) {
  const bool ipv4 = source.family == Family::ipv4;
  GrantRequest request;
  request.door = door.name;
  request.source = source;
  request.prefix = ipv4 ? door.prefix4 : door.prefix6;
  request.ports = door.opens;
  request.ranges = door.ranges;
  for (const auto& forward : door.forwards) {
    const auto& target = ipv4 ? forward.ipv4 : forward.ipv6;
    if (!target) continue;
    request.leads.push_back({forward.outer, *target});
    request.ports.push_back(forward.outer);
  }
  std::sort(request.ports.begin(), request.ports.end());
  const bool bare = door.opens.empty() && door.ranges.empty() && door.forwards.empty();
  if (bare && !door.run_close.empty()) request.ports = {kNoPort};
  request.open_for = door.close == Close::on_idle ? door.idle : door.open_for;
  request.max = door.max;
  request.uses = door.uses;
  request.share = door.grants;
  request.terms = {door.close, door.idle, door.linger, false};
  return request;
}

Terms terms_of(const Config& config, std::string_view name) {
  const auto* door = enabled_door(config, name);
  return door != nullptr ? Terms{door->close, door->idle, door->linger, !door->run_close.empty()} : Terms{};
}

OpenGrant wished(const GrantRequest& request, const OpenGrant* old, Instant now) {
  OpenGrant grant;
  if (old != nullptr) {
    grant = *old;
  } else {
    grant.door = request.door;
    grant.set = set_for(request);
    grant.source = masked(request.source, grant.set == GrantSet::net ? request.prefix : std::uint8_t{128});
    grant.by = request.by;
    grant.via = request.via;
    grant.source_port = request.source_port;
    grant.opened = now;
    grant.cap = now + request.max;
  }
  if (grant.via == Via::kn1) // `until` may have come closer; what was promised stays
    grant.cap = std::max(grant.ends, std::min(grant.cap, now + request.max));
  grant.ports = united(grant.ports, request.ports);
  grant.ranges = united(grant.ranges, request.ranges);
  grant.leads = led(grant.leads, request.leads);
  grant.terms = request.terms;
  grant.bound = request.bound;
  if (old == nullptr || !request.old_key || grant.key.empty()) grant.key = request.key;
  grant.uses_left = request.uses;
  grant.closes = Instant::max();
  grant.arrive = std::max(grant.arrive, std::min(now + request.open_for, grant.cap));
  grant.ends = std::max(grant.ends, grant.arrive);
  return grant;
}

} // namespace knock
