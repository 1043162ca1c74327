// SPDX-License-Identifier: GPL-2.0-or-later
// Who knocks, and what the files may say, in the histories.
#include <array>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "history.hpp"

namespace knock::simulation {
namespace {

/// A sequence of its own for each door, from `base` on.
std::string knock(unsigned base) {
  return fmt::format("knock = [\"tcp/{}\", \"udp/{}\", \"tcp/{}\", \"udp/{}\"]\n", base, base + 7, base + 3,
                     base + 5);
}

/// And to close it again; behind the door's text.
std::string closing(unsigned base) {
  return fmt::format("close_knock = [\"udp/{}\", \"tcp/{}\", \"udp/{}\"]\n", base + 1, base + 9, base + 4);
}

std::string door(std::string_view name, unsigned base, std::string_view rest) {
  return fmt::format("[door.{}]\n{}{}\n", name, base == 0 ? "" : knock(base), rest);
}

const std::string kSsh =
    door("ssh", 7100, "opens = [\"tcp/22\"]\nfor = \"30s\"\nmax = \"5m\"") + closing(7100);
const std::string kMoved =
    door("ssh", 7100, "opens = [\"tcp/2022\"]\nfor = \"30s\"\nmax = \"5m\"") + closing(7100);
const std::string kIdleSsh =
    door("ssh", 7100, "opens = [\"tcp/22\"]\nclose = \"on-idle\"\nidle = \"15s\"\nmax = \"3m\"");
const std::string kSshOff = door("ssh", 7100, "enabled = false\nopens = [\"tcp/22\"]");
const std::string kAdm =
    door("adm", 7120, "opens = [\"tcp/22\", \"tcp/443\"]\nfor = \"2m\"\nmax = \"10m\"") + closing(7120);
const std::string kIdle =
    door("idle", 7140, "opens = [\"tcp/443\"]\nclose = \"on-idle\"\nidle = \"20s\"\nmax = \"4m\"") +
    closing(7140);
const std::string kDisc =
    door("disc", 7160,
         "opens = [\"tcp/25\"]\nclose = \"on-disconnect\"\nlinger = \"5s\"\nfor = \"15s\"\nmax = \"5m\"") +
    closing(7160);
const std::string kUses =
    door("uses", 7180, "opens = [\"tcp/993\"]\nuses = 2\nfor = \"60s\"\nmax = \"5m\"") + closing(7180);
const std::string kUse2 = door("use2", 7200, "opens = [\"tcp/993\"]\nuses = 1\nfor = \"90s\"\nmax = \"5m\"");
const std::string kNet =
    door("net", 7220, "opens = [\"udp/53\"]\ngrant = [\"/24\", \"/64\"]\nfor = \"40s\"\nmax = \"5m\"") +
    closing(7220);
const std::string kFwd =
    door("fwd", 7240, "forward = { \"tcp/8443\" = \"192.0.2.20:443\" }\nfor = \"30s\"\nmax = \"5m\"") +
    closing(7240);
const std::string kCut =
    door("cut", 7260, "opens = [\"tcp/9090\"]\nflows = \"cut\"\nfor = \"45s\"\nmax = \"5m\"");
const std::string kRun = door("run", 7280,
                              "opens = [\"tcp/25\"]\nrun = [\"/bin/true\"]\nrun_close = [\"/bin/true\"]\n"
                              "cooldown = \"5s\"\nfor = \"20s\"\nmax = \"5m\"") +
                         closing(7280);
const std::string kBare =
    door("bare", 7300, "run = [\"/bin/true\"]\nrun_close = [\"/bin/true\"]\nfor = \"25s\"\nmax = \"5m\"") +
    closing(7300);
const std::string kLong = door("long", 0, "opens = [\"tcp/22\"]\nfor = \"10m\"\nmax = \"2h\"");
// With one, or cut by the other: both hold udp/53, which is asked for.
const std::string kMosh =
    door("mosh", 7340, "opens = [\"udp/40-140\"]\nfor = \"40s\"\nmax = \"5m\"") + closing(7340);
const std::string kRtp = door("rtp", 7360,
                              "opens = [\"udp/50-150\", \"tcp/5060\"]\nclose = \"on-disconnect\"\n"
                              "linger = \"5s\"\nfor = \"20s\"\nmax = \"5m\"");
const std::string kAny = door("any", 7320, "opens = [\"any\"]\nfor = \"30s\"\nmax = \"5m\"");

std::string limits(unsigned grants, unsigned per_source) {
  return fmt::format("[limits]\ngrants = {}\nper_source = {}\n", grants, per_source);
}

/// The same doors in the admin's own table, as far as it can have them.
std::string embedded(std::string text) {
  constexpr std::array<std::array<std::string_view, 2>, 5> kInstead{
      {{"close = \"on-idle\"\nidle", "for"},
       {"forward = { \"tcp/8443\" = \"192.0.2.20:443\" }", "opens = [\"tcp/8443\"]"},
       {"flows = \"cut\"\n", ""},
       {"opens = [\"any\"]", "opens = [\"tcp/22\", \"tcp/443\"]"},
       {"[limits]", "[nft]\nmode = \"embed\"\ntable = \"inet fw\"\n[limits]"}}};
  for (const auto& [gate, embed] : kInstead)
    for (auto at = text.find(gate); at != text.npos; at = text.find(gate, at + embed.size()))
      text.replace(at, gate.size(), embed);
  return text;
}

std::shared_ptr<const ParsedConfig> parsed(const std::string& text, bool good = true) {
  const std::vector texts{ConfigText{"knockgate.toml", text, ConfigText::Part::main}};
  auto config = std::make_shared<ParsedConfig>(parse_config(texts));
  if (config->config.has_value() == good) return config;
  for (const auto& finding : config->findings) std::fprintf(stderr, "%s\n", to_string(finding).c_str());
  std::abort();
}

} // namespace

const std::vector<Address>& sources() {
  static const std::vector<Address> kSources{*parse_address("203.0.113.9"), *parse_address("203.0.113.10"),
                                             *parse_address("198.51.100.7"), *parse_address("2001:db8::7"),
                                             *parse_address("2001:db8::8")};
  return kSources;
}

const Address& own_address() {
  static const Address kOwn = *parse_address("192.0.2.1");
  return kOwn;
}

const std::vector<std::shared_ptr<const ParsedConfig>>& configs(bool embed) {
  static const std::string kMost = kAdm + kIdle + kDisc + kUses + kUse2 + kNet + kFwd + kRun + kBare;
  static const std::vector kTexts{limits(64, 16) + kSsh + kMost + kCut + kLong + kMosh + kRtp,
                                  limits(64, 16) + kSsh + kIdle + kLong + kMosh,
                                  limits(64, 16) + kMoved + kMost + kCut,
                                  limits(64, 16) + kSshOff + kMost + kLong,
                                  limits(64, 16),
                                  limits(3, 2) + kSsh + kMost + kCut + kLong,
                                  limits(16, 16) + kSsh + kMost + kCut + kLong,
                                  std::string("[door.ssh]\nknok = 1\n"),
                                  limits(64, 4) + kSsh + kAdm + kUses + kAny,
                                  limits(64, 16) + kIdleSsh + kMost + kCut};
  static const auto kConfigs = [] {
    std::array<std::vector<std::shared_ptr<const ParsedConfig>>, 2> both;
    for (const auto& text : kTexts) {
      const bool good = text.find("knok") == text.npos;
      both[0].push_back(parsed(text, good));
      both[1].push_back(parsed(embedded(text), good));
    }
    return both;
  }();
  return kConfigs[embed ? 1 : 0];
}

} // namespace knock::simulation
