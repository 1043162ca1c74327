// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/ruleset.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
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
                                Template{"cut", kCutTemplate},   Template{"wide", kWideTemplate},
                                Template{"kn1", kKn1Template},   Template{"embed", kEmbedTemplate}};

// What we fill and read; the other sets of embed.nft are its rules' own.
constexpr std::array<std::string_view, 20> kFilledSets{
    "open4",     "open6",      "net4",        "net6", "uses4",    "uses6",    "session4",
    "session6",  "guarded",    "knocks",      "cut",  "ours",     "range4",   "range6",
    "ours_wide", "knock_icmp", "knock_icmp6", "kn1",  "kn1_icmp", "kn1_icmp6"};

/// Of nft's datatypes: the number (include/datatype.h) and the bytes in a key.
struct Datatype {
  std::string_view name;
  std::uint32_t number;
  std::uint32_t bytes;
};
constexpr std::array kDatatypes{Datatype{"ipv4_addr", 7, 4},   Datatype{"ipv6_addr", 8, 16},
                                Datatype{"inet_proto", 12, 1}, Datatype{"inet_service", 13, 2},
                                Datatype{"icmp_type", 14, 1},  Datatype{"icmpv6_type", 29, 1}};

/// Cuts `text` at the first `end`; all of it when there is none.
std::string_view take(std::string_view& text, std::string_view end) {
  const auto at = std::min(text.find(end), text.size());
  const auto word = text.substr(0, at);
  text.remove_prefix(std::min(at + end.size(), text.size()));
  return word;
}

/// From its line of embed.nft: `  set NAME { type A . B; ... }`.
SetShape shape_of(std::string_view name) {
  auto text = kEmbedTemplate;
  take(text, fmt::format("\n  set {} ", name));
  take(text, "{ type ");
  const auto definition = std::string_view(text.data() - 5, 5 + text.find(" }"));
  SetShape shape{name, 0, 0, definition};
  auto types = take(text, ";");
  const bool alone = types.find(" . ") == types.npos;
  while (!types.empty()) {
    const auto type = take(types, " . ");
    const auto* known = std::find_if(kDatatypes.begin(), kDatatypes.end(),
                                     [&](const Datatype& one) { return one.name == type; });
    KNOCK_ASSERT(known != kDatatypes.end());
    shape.key_type = shape.key_type << 6U | known->number;
    shape.key_bytes += alone ? known->bytes : (known->bytes + 3U) & ~3U;
  }
  return shape;
}

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
  if (key.set == GrantSet::session) return fmt::format("{} . {}", key.source_port, key.port.number);
  return key.set == GrantSet::range ? fmt::format("{}-{}", key_text(key.port), key.last) : key_text(key.port);
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

std::string element_text(const Change& change, BatchPart::Act act) {
  auto text = fmt::format("{} . {}", to_string(change.key.source), key_text(change.key));
  if (act != BatchPart::Act::put) return text + lead_text(change, change.held);
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

struct Ours {
  std::vector<std::string> single; ///< of `ours`
  std::vector<std::string> wide;   ///< of `ours_wide`, no two of them touch
};

/// Every number that is guarded, or whose packets are reported. What is a knock is a single one, also within a range.
Ours ours_of(const StaticSets& sets) {
  constexpr int kWide =
      64; // ports in a row; the bitmap of the kernel looks at all its ports for each new one
  std::set<int> numbers, single;
  for (const auto& guarded : sets.guarded) numbers.insert(guarded.port.number);
  for (const auto* ports : {&sets.knocks, &sets.kn1})
    for (Port port : *ports) single.insert(port.number);
  Ours ours;
  for (auto first = numbers.begin(); first != numbers.end();) {
    auto end = std::next(first);
    int count = 1;
    for (; end != numbers.end() && *end == *first + count; ++end) ++count;
    if (count < kWide)
      single.insert(first, end);
    else
      ours.wide.push_back(fmt::format("{}-{}", *first, *first + count - 1));
    first = end;
  }
  for (int number : single) ours.single.push_back(std::to_string(number));
  return ours;
}

std::vector<std::string> pings_of(const StaticSets& sets, Protocol protocol) {
  const bool any = std::find(sets.pings.begin(), sets.pings.end(), protocol) != sets.pings.end();
  return any ? std::vector<std::string>{"echo-request"} : std::vector<std::string>{};
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
    for (const auto* knock : {&door.knock, &door.close_knock})
      for (const auto& step : *knock) secret += to_string(step.kind);
  }
  const auto hash = static_cast<std::uint64_t>(door_id(secret));
  return static_cast<std::uint32_t>(hash ^ hash >> 32U) | 1U;
}

} // namespace

Error taken_error(std::string_view table) {
  return {fmt::format("table inet {} is there, and knockgate did not make it", table), EEXIST,
          "give [nft] table another name, or use it: mode = \"embed\""};
}

TemplateTokens tokens_of(const Config& config) {
  return {config.nft.table, config.nflog.group, config.limits.grants, config.gate.mark, seed_of(config)};
}

std::optional<std::string> template_text(std::string_view name, const TemplateTokens& tokens) {
  const auto known = std::find_if(kTemplates.begin(), kTemplates.end(),
                                  [&](const Template& one) { return one.name == name; });
  if (known == kTemplates.end()) return std::nullopt;
  std::string text{known->text};
  replace_all(text, "inet knockgate", fmt::format("inet {}", tokens.table));
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

bool is_template_chain(std::string_view name, bool begins) {
  const auto line = fmt::format("\n  chain {} {{", name);
  return std::any_of(kTemplates.begin(), kTemplates.end(), [&](const Template& one) {
    const auto at = one.text.find(line);
    return one.name != "embed" && at != one.text.npos &&
           one.text.substr(at + line.size()).starts_with("\n    type ") == begins;
  });
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
  if (!ours_of(static_sets_of(config)).wide.empty()) text += *template_text("wide", tokens);
  if (takes_kn1(config)) text += *template_text("kn1", tokens);
  return text;
}

std::vector<Port> guarded_by(const Door& door) {
  auto ports = opened_by(door);
  for (const auto& forward : door.forwards) ports.push_back(forward.outer);
  std::sort(ports.begin(), ports.end());
  return ports;
}

StaticSets static_sets_of(const Config& config) {
  StaticSets sets;
  std::set<Port> guarded;
  std::set<Port> knocks;
  std::set<Protocol> pings;
  std::set<Port> cut;
  for (const auto& door : config.doors) {
    if (!door.enabled) continue;
    const auto ports = guarded_by(door);
    guarded.insert(ports.begin(), ports.end());
    if (door.cut) cut.insert(ports.begin(), ports.end());
    for (const auto* knock : {&door.knock, &door.close_knock})
      for (const auto& [kind, pause] : *knock)
        if (is_ping(kind.port))
          pings.insert(kind.port.protocol);
        else
          knocks.insert(kind.port);
  }
  for (Port port : guarded) sets.guarded.push_back({port, {}});
  sets.knocks.assign(knocks.begin(), knocks.end());
  sets.pings.assign(pings.begin(), pings.end());
  sets.cut.assign(cut.begin(), cut.end());
  if (takes_kn1(config)) {
    sets.kn1 = config.kn1.ports;
    sets.kn1_icmp = config.kn1.icmp;
  }
  sets.also = config.gate.also;
  sets.reset = config.gate.reset;
  sets.trust_interfaces = config.gate.trust_interfaces;
  sets.trust_prefixes = config.gate.trust_prefixes;
  return sets;
}

std::string elements_text(std::string_view table, Mode mode, const StaticSets& sets) {
  const auto ours = ours_of(sets);
  std::string text = fill(table, "ours", ours.single) + fill(table, "ours_wide", ours.wide) +
                     fill(table, "guarded", guarded_texts(sets.guarded)) +
                     fill(table, "knocks", key_texts(sets.knocks)) +
                     fill(table, "knock_icmp", pings_of(sets, Protocol::icmp)) +
                     fill(table, "knock_icmp6", pings_of(sets, Protocol::icmp6));
  // Gate mode has these sets only with the rules that use them.
  if (mode == Mode::embed || !sets.kn1.empty() || sets.kn1_icmp) {
    const std::vector<std::string> pings{"echo-request", "echo-reply"}, none;
    text += fill(table, "kn1", key_texts(sets.kn1)) + fill(table, "kn1_icmp", sets.kn1_icmp ? pings : none) +
            fill(table, "kn1_icmp6", sets.kn1_icmp ? pings : none);
  }
  if (mode == Mode::embed) return text;
  const std::vector<std::string> refused{"tcp", "udp"};
  std::vector<std::string> interfaces, wildcards;
  for (const auto& name : sets.trust_interfaces)
    (name.ends_with('*') ? wildcards : interfaces).push_back(fmt::format("\"{}\"", name));
  return text + fill(table, "cut", key_texts(sets.cut)) +
         fill(table, "refuse", sets.reset ? refused : std::vector<std::string>{}) +
         fill(table, "also4", prefixes_of(sets.also, Family::ipv4)) +
         fill(table, "also6", prefixes_of(sets.also, Family::ipv6)) + fill(table, "trusted_if", interfaces) +
         fill(table, "trusted_ifs", wildcards) +
         fill(table, "trusted4", prefixes_of(sets.trust_prefixes, Family::ipv4)) +
         fill(table, "trusted6", prefixes_of(sets.trust_prefixes, Family::ipv6));
}

std::string batch_text(std::string_view table, const Batch& batch) {
  std::string text;
  for (const auto& part : parts_of(batch, batch.size())) {
    std::vector<std::string> elements;
    for (const auto* change : part.changes) elements.push_back(element_text(*change, part.act));
    fmt::format_to(std::back_inserter(text), "{} element inet {} {} {{ {} }}\n",
                   part.act == BatchPart::Act::remove ? "delete" : "add", table,
                   set_name(part.set, part.family), fmt::join(elements, ", "));
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

std::vector<Port> guarded_in(std::string_view boot_text) {
  std::vector<Port> ports;
  constexpr std::string_view kBegin = " guarded { ";
  const auto begin = boot_text.find(kBegin, boot_text.find("add element"));
  if (begin == std::string_view::npos) return ports;
  auto list = boot_text.substr(begin + kBegin.size());
  list = list.substr(0, list.find('}'));
  while (!list.empty()) {
    const auto protocol = take(list, " . ");
    const auto number = take(list, ", ");
    if (const auto port = parse_port(fmt::format("{}/{}", protocol, number.substr(0, number.find(' ')))))
      ports.push_back(*port);
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

std::vector<SetShape> embed_shapes() {
  std::vector<SetShape> shapes;
  for (const auto name : kFilledSets) shapes.push_back(shape_of(name));
  return shapes;
}

} // namespace knock
