// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/ruleset.hpp>

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "templates.inc"

namespace knock {
namespace {

struct Template {
  std::string_view name;
  std::string_view text;
};
constexpr std::array kTemplates{Template{"gate", kGateTemplate}, Template{"forward", kForwardTemplate},
                                Template{"cut", kCutTemplate}, Template{"embed", kEmbedTemplate}};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// `flush set` then `add element`: the set holds just `elements` afterwards, in the same transaction.
std::string fill(std::string_view table, std::string_view set, const std::vector<std::string>& elements) {
  std::string text = fmt::format("flush set inet {} {}\n", table, set);
  if (!elements.empty())
    text += fmt::format("add element inet {} {} {{ {} }}\n", table, set, fmt::join(elements, ", "));
  return text;
}

std::string key_text(Port port) {
  return port == kNoPort ? "0 . 0" : fmt::format("{} . {}", to_string(port.protocol), port.number);
}

/// What stands behind the source.
std::string key_text(const GrantKey& key) {
  return key.set == GrantSet::session ? fmt::format("{} . {}", key.source_port, key.port.number)
                                      : key_text(key.port);
}

std::vector<std::string> key_texts(const std::vector<Port>& ports) {
  std::vector<std::string> texts;
  for (Port port : ports) texts.push_back(key_text(port));
  return texts;
}

/// Where a map's element leads, behind its key.
std::string lead_text(const Change& change, const Target& target) {
  if (change.key.set != GrantSet::forward) return {};
  return fmt::format(" : {} . {}", to_string(target.address), target.port);
}

std::string put_text(const std::string& key, const Change& change) {
  auto text = key;
  if (change.key.set == GrantSet::uses)
    text += fmt::format(" limit rate 1/week burst {} packets counter packets 0 bytes 0", change.uses);
  else if (change.traffic != Traffic{})
    text += fmt::format(" counter packets {} bytes {}", change.traffic.packets, change.traffic.bytes);
  text += fmt::format(" timeout {}ms", change.timeout.count());
  if (!change.comment.empty()) text += fmt::format(" comment \"{}\"", change.comment);
  return text + lead_text(change, change.target);
}

std::vector<std::string> guarded_texts(const std::vector<Guarded>& guarded) {
  std::vector<std::string> texts;
  for (const auto& [port, left] : guarded)
    texts.push_back(left ? fmt::format("{} timeout {}ms", key_text(port), left->count()) : key_text(port));
  return texts;
}

std::vector<std::string> prefixes_of(const std::vector<Prefix>& prefixes, Family family) {
  std::vector<std::string> texts;
  for (const auto& prefix : prefixes)
    if (prefix.address.family == family) texts.push_back(to_string(prefix));
  return texts;
}

/// The same for who else reads this config, and as hard to guess as its knocks: else a source could choose
/// its group.
std::uint32_t seed_of(const Config& config) {
  std::string secret;
  for (const auto& door : config.doors) {
    secret += door.name;
    for (const auto& step : door.knock) secret += to_string(step.port);
  }
  const auto hash = static_cast<std::uint64_t>(door_id(secret));
  return static_cast<std::uint32_t>(hash ^ hash >> 32U) | 1U;
}

} // namespace

TemplateTokens tokens_of(const Config& config) {
  return {config.nft.table, config.nflog.group, config.limits.grants, config.gate.mark, seed_of(config)};
}

std::optional<std::string> template_text(std::string_view name, const TemplateTokens& tokens) {
  const auto known = std::find_if(kTemplates.begin(), kTemplates.end(),
                                  [&](const Template& one) { return one.name == name; });
  if (known == kTemplates.end()) return std::nullopt;
  std::string text{known->text};
  replace_all(text, "table inet knockgate", fmt::format("table inet {}", tokens.table));
  // Through a name no group can have: 41 may be the new number of group 40.
  for (int i = 0; i < 4; ++i)
    replace_all(text, fmt::format("log group {}", 40 + i), fmt::format("log group #{}", i));
  for (int i = 0; i < 4; ++i)
    replace_all(text, fmt::format("log group #{}", i), fmt::format("log group {}", tokens.group + i));
  replace_all(text, "size 131072", fmt::format("size {}", 2ULL * tokens.grants));
  replace_all(text, "mark or 0x0\n", fmt::format("mark or {:#x}\n", tokens.mark));
  replace_all(text, "seed 0x1 ", fmt::format("seed {:#x} ", tokens.seed));
  return text;
}

std::string rules_text(const Config& config) {
  const auto tokens = tokens_of(config);
  const auto any = [&](auto&& wants) {
    return std::any_of(config.doors.begin(), config.doors.end(),
                       [&](const Door& door) { return door.enabled && wants(door); });
  };
  auto text = *template_text("gate", tokens);
  if (any([](const Door& door) { return !door.forwards.empty(); })) text += *template_text("forward", tokens);
  if (any([](const Door& door) { return door.cut; })) text += *template_text("cut", tokens);
  return text;
}

std::vector<Port> guarded_by(const Door& door) {
  auto ports = door.opens;
  for (const auto& forward : door.forwards) ports.push_back(forward.outer);
  std::sort(ports.begin(), ports.end());
  return ports;
}

StaticSets static_sets_of(const Config& config) {
  StaticSets sets;
  std::set<Port> guarded;
  std::set<Port> knocks;
  std::set<Port> cut;
  for (const auto& door : config.doors) {
    if (!door.enabled) continue;
    const auto ports = guarded_by(door);
    guarded.insert(ports.begin(), ports.end());
    if (door.cut) cut.insert(ports.begin(), ports.end());
    for (const auto& step : door.knock) knocks.insert(step.port);
  }
  for (Port port : guarded) sets.guarded.push_back({port, {}});
  sets.knocks.assign(knocks.begin(), knocks.end());
  sets.cut.assign(cut.begin(), cut.end());
  sets.also = config.gate.also;
  sets.reset = config.gate.reset;
  sets.trust_interfaces = config.gate.trust_interfaces;
  sets.trust_prefixes = config.gate.trust_prefixes;
  return sets;
}

std::string elements_text(std::string_view table, Mode mode, const StaticSets& sets) {
  std::set<std::uint16_t> numbers;
  for (const auto& guarded : sets.guarded) numbers.insert(guarded.port.number);
  for (Port port : sets.knocks) numbers.insert(port.number);
  std::vector<std::string> ours;
  for (auto number : numbers) ours.push_back(std::to_string(number));

  std::string text = fill(table, "ours", ours) + fill(table, "guarded", guarded_texts(sets.guarded)) +
                     fill(table, "knocks", key_texts(sets.knocks));
  if (mode == Mode::embed) return text;
  const std::vector<std::string> refused{"tcp", "udp"};
  std::vector<std::string> interfaces;
  for (const auto& name : sets.trust_interfaces) interfaces.push_back(fmt::format("\"{}\"", name));
  return text + fill(table, "cut", key_texts(sets.cut)) +
         fill(table, "refuse", sets.reset ? refused : std::vector<std::string>{}) +
         fill(table, "also4", prefixes_of(sets.also, Family::ipv4)) +
         fill(table, "also6", prefixes_of(sets.also, Family::ipv6)) + fill(table, "trusted_if", interfaces) +
         fill(table, "trusted4", prefixes_of(sets.trust_prefixes, Family::ipv4)) +
         fill(table, "trusted6", prefixes_of(sets.trust_prefixes, Family::ipv6));
}

std::string batch_text(std::string_view table, const Batch& batch) {
  std::string text;
  for (const auto set : kGrantSets)
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      std::vector<std::string> held, puts;
      for (const auto& change : batch) {
        if (change.key.set != set || change.key.source.family != family) continue;
        const auto key = fmt::format("{} . {}", to_string(change.key.source), key_text(change.key));
        held.push_back(key + lead_text(change, change.held));
        if (change.kind == Change::Kind::put) puts.push_back(put_text(key, change));
      }
      const auto say = [&](std::string_view verb, const std::vector<std::string>& elements) {
        if (!elements.empty())
          fmt::format_to(std::back_inserter(text), "{} element inet {} {} {{ {} }}\n", verb, table,
                         set_name(set, family), fmt::join(elements, ", "));
      };
      // add, delete, add: works for absent and present keys, on kernels before 6.12 too (they cannot update).
      say("add", held);
      say("delete", held);
      say("add", puts);
    }
  return text;
}

std::string boot_text(const Config& config, const StaticSets& sets) {
  StaticSets confirmed = sets;
  std::erase_if(confirmed.guarded, [](const Guarded& guarded) { return guarded.left.has_value(); });
  return rules_text(config) +
         "\n# static sets, as `knockctl save` found them; grants and unconfirmed ports are never saved\n" +
         elements_text(config.nft.table, config.nft.mode, confirmed);
}

std::vector<SetShape> embed_shapes() {
  // nft's datatype numbers (nftables include/datatype.h): ipv4_addr 7, ipv6_addr 8, inet_proto 12,
  // inet_service 13.
  constexpr std::uint32_t kService = 13;
  constexpr std::uint32_t kProtoService = 12U << 6U | kService;
  constexpr std::uint32_t kV4 = 7U << 12U | kProtoService;
  constexpr std::uint32_t kV6 = 8U << 12U | kProtoService;
  constexpr std::uint32_t kFlow = kService << 6U | kService;
  constexpr std::string_view kGrants4 =
      "type ipv4_addr . inet_proto . inet_service; flags timeout; timeout 30s; size 131072; counter;";
  constexpr std::string_view kGrants6 =
      "type ipv6_addr . inet_proto . inet_service; flags timeout; timeout 30s; size 131072; counter;";
  constexpr std::string_view kUses4 =
      "type ipv4_addr . inet_proto . inet_service; flags timeout; timeout 30s; "
      "size 131072; limit rate 1/week burst 1 packets counter;";
  constexpr std::string_view kUses6 =
      "type ipv6_addr . inet_proto . inet_service; flags timeout; timeout 30s; "
      "size 131072; limit rate 1/week burst 1 packets counter;";
  constexpr std::string_view kSession4 =
      "type ipv4_addr . inet_service . inet_service; flags timeout; timeout 5d; size 65535; counter;";
  constexpr std::string_view kSession6 =
      "type ipv6_addr . inet_service . inet_service; flags timeout; timeout 5d; size 65535; counter;";
  return {
      {"open4", kV4, 12, kGrants4},
      {"open6", kV6, 24, kGrants6},
      {"net4", kV4, 12, kGrants4},
      {"net6", kV6, 24, kGrants6},
      {"uses4", kV4, 12, kUses4},
      {"uses6", kV6, 24, kUses6},
      {"session4", 7U << 12U | kFlow, 12, kSession4},
      {"session6", 8U << 12U | kFlow, 24, kSession6},
      {"guarded", kProtoService, 8, "type inet_proto . inet_service; flags timeout;"},
      {"knocks", kProtoService, 8, "type inet_proto . inet_service;"},
      {"cut", kProtoService, 8, "type inet_proto . inet_service;"},
      {"ours", kService, 2, "type inet_service;"},
  };
}

} // namespace knock
