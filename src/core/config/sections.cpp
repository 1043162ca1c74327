// SPDX-License-Identifier: GPL-2.0-or-later
// Every table but the doors: a list of keys each.
#include "parts.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include <knock/limits.hpp>
#include <knock/nearest.hpp>

namespace knock::grammar {
namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

/// Whether `text` consists of letters, digits and `more` alone.
bool made_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return kLetters.find(c) != kLetters.npos || kDigits.find(c) != kDigits.npos || more.find(c) != more.npos;
  });
}

bool is_interface(std::string_view text) {
  return !text.empty() && text.size() <= kMaxInterface && made_of(text, "_-.@") &&
         text.find_first_not_of("0123456789.") != std::string_view::npos;
}

/// "wg*": all interfaces that begin so.
bool is_wildcard(std::string_view text) {
  return text.ends_with('*') && text.size() <= kMaxInterface && is_interface(text.substr(0, text.size() - 1));
}

/// nft keeps no interval twice in a set: "wga*" lies within "wg*".
void add_wildcard(std::vector<std::string>& names, const std::string& name) {
  const auto within = [](std::string_view inner, std::string_view outer) {
    return inner.ends_with('*') && outer.ends_with('*') &&
           inner.starts_with(outer.substr(0, outer.size() - 1));
  };
  for (const auto& other : names)
    if (within(name, other)) return;
  std::erase_if(names, [&](const std::string& other) { return within(other, name); });
  names.push_back(name);
}

/// nft keeps no interval twice in a set: one that lies within another is dropped.
void add_prefix(std::vector<Prefix>& prefixes, const Prefix& prefix) {
  const auto within = [](const Prefix& inner, const Prefix& outer) {
    return inner.length >= outer.length && outer.contains(inner.address);
  };
  for (const auto& other : prefixes)
    if (within(prefix, other)) return;
  std::erase_if(prefixes, [&](const Prefix& other) { return within(other, prefix); });
  prefixes.push_back(prefix);
}

void refuse_prefix(Reader& in, const Written& item, std::string_view wanted) {
  in.refuse(item.spot, fmt::format("{} is no {}", shown(item), wanted),
            "write a prefix like \"192.0.2.0/24\" with no bit set behind its length");
}

void read_trust(Reader& in, const Written& value, Config& config) {
  for (const auto& item : in.strings(value, kTrusted)) {
    if (const auto prefix = parse_prefix(item.text))
      add_prefix(config.gate.trust_prefixes, *prefix);
    else if (is_interface(item.text))
      config.gate.trust_interfaces.push_back(item.text);
    else if (is_wildcard(item.text))
      add_wildcard(config.gate.trust_interfaces, item.text);
    else if (const auto begin = item.text.substr(0, item.text.find('+'));
             item.text.ends_with('+') && is_wildcard(begin + '*'))
      in.refuse(item.spot, shown(item) + " is no interface or prefix",
                fmt::format("a wildcard of nftables ends with a star: \"{}*\"", begin));
    else
      refuse_prefix(in, item, "interface or prefix");
  }
}

void read_also(Reader& in, const Written& value, Config& config) {
  for (const auto& item : in.strings(value, kTrusted)) {
    if (const auto prefix = parse_prefix(item.text))
      add_prefix(config.gate.also, *prefix);
    else
      refuse_prefix(in, item, "prefix");
  }
}

void read_mark(Reader& in, const Written& value, Config& config) {
  const auto mark = in.integer(value, {1, 0x8000'0000});
  if (mark && !std::has_single_bit(static_cast<std::uint32_t>(*mark)))
    in.refuse(value.spot, shown(value) + " has more than one bit",
              "write one bit: 0x1, 0x2, 0x4 ... 0x80000000");
  else
    set(config.gate.mark, mark);
}

void read_table(Reader& in, const Written& value, Config& config) {
  const auto text = in.string(value);
  if (!text) return;
  const auto space = std::min(text->find(' '), text->size());
  const auto family = text->substr(0, space);
  const auto name = text->substr(std::min(space + 1, text->size()));
  if (family == "inet" && !name.empty() && name.size() <= kMaxTableName && made_of(name, "_-") &&
      made_of(name.substr(0, 1), "_") && kDigits.find(name[0]) == kDigits.npos)
    config.nft.table = name;
  else
    in.refuse(value.spot, shown(value) + " is no table we can use",
              "write \"inet NAME\", the name of letters, digits, _ and -");
}

void read_attempts(Reader& in, const Written& value, Config& config) {
  const auto attempts = in.integer(value, kAttempts);
  if (attempts && !std::has_single_bit(static_cast<std::uint32_t>(*attempts)))
    in.refuse(value.spot, shown(value) + " is no power of 2", "write 524288 (2^19) to 16777216 (2^24)");
  else
    set(config.limits.attempts, attempts);
}

void read_write_group(Reader& in, const Written& value, Config& config) {
  set(config.control.write_group, in.string(value));
  config.control.write_group_place = place_of(value.spot);
}

void read_accept(Reader& in, const Written& value, Config& config) {
  for (const auto& item : in.strings(value, kAccepted)) {
    if (std::find(kFindings.begin(), kFindings.end(), item.text) != kFindings.end()) {
      config.check.accept.push_back(item.text);
      continue;
    }
    const auto meant = nearest(item.text, kFindings);
    in.refuse(item.spot, fmt::format("there is no finding {}", shown(item)),
              meant.empty()
                  ? fmt::format("write names that knockctl check shows: {}", fmt::join(kFindings, " "))
                  : fmt::format("did you mean \"{}\"?", meant));
  }
}

void check_workers(Reader& in, const Written& value) {
  if (in.integer(value, kWorkers) && value.number == 3)
    in.refuse(value.spot, shown(value) + " is out of limits", "write 1, 2 or 4");
}

void read_hosts(Reader& in, const Written& value, Config& config) {
  for (const auto& item : in.strings(value, kKn1Hosts))
    if (is_host(item.text))
      config.kn1.hosts.push_back(item.text);
    else
      in.refuse(item.spot, shown(item) + " is no name or address of a host", "write \"router.example\"");
}

void read_kn1_ports(Reader& in, const Written& value, Config& config) {
  std::set<Port> ports;
  for (const auto& item : in.strings(value, kKn1Ports)) {
    const auto port = parse_port(item.text);
    config.kn1.icmp = config.kn1.icmp || item.text == "icmp";
    if (port && port->protocol == Protocol::udp)
      ports.insert(*port);
    else if (item.text != "icmp")
      in.refuse(item.spot, shown(item) + " takes no signed packets", "write \"udp/17022\" or \"icmp\"");
  }
  config.kn1.ports.assign(ports.begin(), ports.end());
}

using In = Reader;
using W = Written;
using C = Config;

constexpr Key<Config> kControl[] = {
    {"socket", [](In& in, const W& w, C& c) { set(c.control.socket, in.path(w, kMaxSocketPath)); }},
    {"write_group", read_write_group},
    {"state", [](In& in, const W& w, C& c) { set(c.control.state, in.path(w, kMaxPath)); }},
};
constexpr Key<Config> kNflog[] = {
    {"group", [](In& in, const W& w, C& c) { set(c.nflog.group, in.integer(w, kNflogGroup)); }},
    {"buffer", [](In& in, const W& w, C& c) { set(c.nflog.buffer_bytes, in.size(w, kNflogBuffer)); }},
};
constexpr Key<Config> kNft[] = {
    {"mode",
     [](In& in, const W& w, C& c) {
       set(c.nft.mode, in.choice(w, {"gate", "embed"}));
     }},
    {"table", read_table},
    {"boot_file", [](In& in, const W& w, C& c) { set(c.nft.boot_file, in.path(w, kMaxPath, true)); }},
};
constexpr Key<Config> kGate[] = {
    {"trust", read_trust},
    {"also", read_also},
    {"answer",
     [](In& in, const W& w, C& c) {
       set(c.gate.reset, in.choice(w, {"drop", "reset"}));
     }},
    {"mark", read_mark},
};
constexpr Key<Config> kLimits[] = {
    {"attempts", read_attempts},
    {"grants", [](In& in, const W& w, C& c) { set(c.limits.grants, in.integer(w, kGrants)); }},
    {"per_source", [](In& in, const W& w, C& c) { set(c.limits.per_source, in.integer(w, kPerSource)); }},
    {"cooloff", [](In& in, const W& w, C& c) { set(c.limits.cooloff, in.duration(w, kCooloff)); }},
};
constexpr Key<Config> kCheck[] = {{"accept", read_accept}};
constexpr LaterKey kEngineLater[] = {{"workers", check_workers, "1"}};
constexpr Key<Config> kRunner[] = {
    {"time", [](In& in, const W& w, C& c) { set(c.runner.time, in.duration(w, kRunTime)); }},
};
constexpr Key<Config> kKn1[] = {
    {"ports", read_kn1_ports},
    {"hosts", read_hosts},
    {"clock",
     [](In& in, const W& w, C& c) {
       set(c.kn1.trust_clock, in.choice(w, {"auto", "trust"}));
     }},
    {"key", [](In& in, const W& w, C& c) { set(c.kn1.key, in.path(w, kMaxPath)); }},
};
constexpr Key<Config> kLog[] = {
    {"level",
     [](In& in, const W& w, C& c) {
       set(c.log_level, in.choice(w, {"error", "warn", "info", "debug"}));
     }},
};

struct Section {
  std::string_view name;
  std::span<const Key<Config>> keys;
  std::span<const LaterKey> later;
};
constexpr std::array<Section, 10> kSections{{
    {"control", kControl, {}},
    {"nflog", kNflog, {}},
    {"nft", kNft, {}},
    {"gate", kGate, {}},
    {"limits", kLimits, {}},
    {"engine", {}, kEngineLater},
    {"runner", kRunner, {}},
    {"kn1", kKn1, {}},
    {"check", kCheck, {}},
    {"log", kLog, {}},
}};

void refuse_unknown_section(Reader& in, const Written& section) {
  if (section.key == "user")
    return in.refuse(section.key_spot, "users stand in users.d", "move the table to users.d/NAME.toml");
  if (section.kind != Written::Kind::table)
    return in.refuse(section.key_spot, fmt::format("{} stands outside of any table", in_quotes(section.key)),
                     "put it below its [table] line");
  std::vector<std::string_view> names;
  for (const auto& known : kSections) names.push_back(known.name);
  names.emplace_back("door");
  in.unknown("table", section, "the file", names, {});
}

} // namespace

void read_section(Reader& in, const Written& section, SetKeys& seen, Config& config) {
  const auto known = std::find_if(kSections.begin(), kSections.end(),
                                  [&](const Section& one) { return one.name == section.key; });
  if (known == kSections.end()) return refuse_unknown_section(in, section);
  const auto header = fmt::format("[{}]", section.key);
  if (!in.is_table(section, header)) return;
  for (const auto& item : section.items) {
    const auto [first, fresh] = seen.try_emplace(fmt::format("{}.{}", section.key, item.key), item.key_spot);
    if (!fresh)
      in.refuse(item.key_spot,
                fmt::format("{} {} stands twice, first at {}", header, one_line(item.key),
                            to_string(first->second)),
                "remove one of them");
  }
  in.keys(section, header, known->keys, known->later, config);
}

void check_sections(Reader& in, const SetKeys& seen, const Config& config) {
  if (config.nft.mode != Mode::embed) return;
  if (!seen.contains("nft.table"))
    in.refuse(seen.find("nft.mode")->second, "mode = \"embed\" needs table",
              "add table = \"inet NAME\", your own table that includes embed.nft");
  for (const auto& [key, spot] : seen)
    if (key.starts_with("gate.") && key != "gate.mark")
      in.refuse(spot, fmt::format("[gate] {} has no meaning in embed mode", key.substr(5)),
                "remove it, and say it in the rules of your own table");
}

} // namespace knock::grammar

bool knock::is_host(std::string_view text) {
  return !text.empty() && text.size() <= kMaxHost && text[0] != '-' && grammar::made_of(text, "._:-");
}
