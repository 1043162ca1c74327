// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/ruleset.hpp>

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "templates.inc"

namespace knock {
namespace {

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
  return fmt::format("{} . {}", to_string(port.protocol), port.number);
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

} // namespace

TemplateTokens tokens_of(const Config& config) {
  return {config.nft.table, config.nflog.group, config.limits.grants, config.gate.mark};
}

std::optional<std::string> template_text(std::string_view name, const TemplateTokens& tokens) {
  std::string text;
  if (name == "gate")
    text = kGateTemplate;
  else if (name == "embed")
    text = kEmbedTemplate;
  else
    return std::nullopt;
  replace_all(text, "table inet knockgate", fmt::format("table inet {}", tokens.table));
  // Through a name no group can have: 41 may be the new number of group 40.
  for (int i = 0; i < 4; ++i)
    replace_all(text, fmt::format("log group {}", 40 + i), fmt::format("log group #{}", i));
  for (int i = 0; i < 4; ++i)
    replace_all(text, fmt::format("log group #{}", i), fmt::format("log group {}", tokens.group + i));
  replace_all(text, "size 131072", fmt::format("size {}", 2ULL * tokens.grants));
  replace_all(text, "mark or 0x0\n", fmt::format("mark or {:#x}\n", tokens.mark));
  return text;
}

StaticSets static_sets_of(const Config& config) {
  StaticSets sets;
  std::set<Port> guarded;
  std::set<Port> knocks;
  for (const auto& door : config.doors) {
    if (!door.enabled) continue;
    guarded.insert(door.opens.begin(), door.opens.end());
    knocks.insert(door.knock.begin(), door.knock.end());
  }
  for (Port port : guarded) sets.guarded.push_back({port, {}});
  sets.knocks.assign(knocks.begin(), knocks.end());
  sets.trust_interfaces = config.gate.trust_interfaces;
  sets.trust_prefixes = config.gate.trust_prefixes;
  return sets;
}

std::string elements_text(std::string_view table, Mode mode, const StaticSets& sets) {
  std::set<std::uint16_t> numbers;
  std::vector<std::string> knocks;
  for (const auto& guarded : sets.guarded) numbers.insert(guarded.port.number);
  for (Port port : sets.knocks) {
    numbers.insert(port.number);
    knocks.push_back(key_text(port));
  }
  std::vector<std::string> ours;
  for (auto number : numbers) ours.push_back(std::to_string(number));

  std::string text = fill(table, "ours", ours) + fill(table, "guarded", guarded_texts(sets.guarded)) +
                     fill(table, "knocks", knocks);
  if (mode == Mode::embed) return text;
  std::vector<std::string> interfaces;
  for (const auto& name : sets.trust_interfaces) interfaces.push_back(fmt::format("\"{}\"", name));
  return text + fill(table, "trusted_if", interfaces) +
         fill(table, "trusted4", prefixes_of(sets.trust_prefixes, Family::ipv4)) +
         fill(table, "trusted6", prefixes_of(sets.trust_prefixes, Family::ipv6));
}

std::string batch_text(std::string_view table, const Batch& batch) {
  std::string text;
  for (const auto& change : batch) {
    const auto set = change.key.source.family == Family::ipv4 ? "open4" : "open6";
    const auto key = fmt::format("{} . {}", to_string(change.key.source), key_text(change.key.port));
    const auto element = [&](std::string_view verb, std::string_view more) {
      text += fmt::format("{} element inet {} {} {{ {}{} }}\n", verb, table, set, key, more);
    };
    // add, delete, add: works for absent and present keys, on kernels before 6.12 too (they cannot update).
    element("add", "");
    element("delete", "");
    if (change.kind == Change::Kind::put)
      element("add", fmt::format(" timeout {}ms comment \"{}\"", change.timeout.count(), change.comment));
  }
  return text;
}

std::string boot_text(const Config& config, const StaticSets& sets) {
  StaticSets confirmed = sets;
  std::erase_if(confirmed.guarded, [](const Guarded& guarded) { return guarded.left.has_value(); });
  return *template_text("gate", tokens_of(config)) +
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
  return {
      {"open4", kV4, 12,
       "type ipv4_addr . inet_proto . inet_service; flags timeout; timeout 30s; size 131072; counter;"},
      {"open6", kV6, 24,
       "type ipv6_addr . inet_proto . inet_service; flags timeout; timeout 30s; size 131072; counter;"},
      {"guarded", kProtoService, 8, "type inet_proto . inet_service; flags timeout;"},
      {"knocks", kProtoService, 8, "type inet_proto . inet_service;"},
      {"ours", kService, 2, "type inet_service;"},
  };
}

} // namespace knock
