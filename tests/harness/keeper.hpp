// SPDX-License-Identifier: GPL-2.0-or-later
/// Configurations, requests and grants for tests of what the keeper decides.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <knock/ledger.hpp>

#include "core/keeper/heard.hpp"

namespace knock {

inline Address address(std::string_view text) {
  return *parse_address(text);
}

inline const Port kSsh{Protocol::tcp, 22};
inline const Port kWeb{Protocol::tcp, 443};
inline const Address kClient = address("203.0.113.9");
inline const Address kOther = address("198.51.100.7");
inline const Instant kStart{Seconds{1'000}};

/// The text of a door; its knock begins at `base`, 0: it has none.
inline std::string door_text(std::string_view name, unsigned base, std::string_view rest) {
  std::string text = "[door." + std::string(name) + "]\n" + std::string(rest) + "\n";
  if (base == 0) return text;
  const auto port = [&](std::string_view protocol, unsigned more) {
    return "\"" + std::string(protocol) + "/" + std::to_string(base + more) + "\"";
  };
  return text + "knock = [" + port("tcp", 0) + ", " + port("udp", 7) + ", " + port("tcp", 3) + ", " +
         port("udp", 5) + "]\n";
}
/// A closing knock for the door before it; `base` as in door_text.
inline std::string close_text(unsigned base) {
  const auto port = [&](unsigned more) { return "/" + std::to_string(base + more) + "\""; };
  return "close_knock = [\"udp" + port(1) + ", \"tcp" + port(9) + ", \"udp" + port(4) + ", \"tcp" + port(6) +
         "]\n";
}
inline const std::string kSshDoor =
    door_text("ssh", 7'100, "opens = [\"tcp/22\"]\nfor = \"30s\"\nmax = \"5m\"");
inline const std::string kWebDoor =
    door_text("web", 7'200, "opens = [\"tcp/443\"]\nfor = \"1m\"\nmax = \"1h\"");

inline ParsedConfig parsed(std::string text) {
  const std::vector texts{ConfigText{"knockgate.toml", std::move(text), ConfigText::Part::main}};
  return parse_config(texts);
}
/// Requires: a text without an error.
inline std::shared_ptr<const Config> config_of(std::string text) {
  return std::make_shared<const Config>(parsed(std::move(text)).config.value());
}

/// What a knock of `source` at the door asks for.
inline GrantRequest request(const Config& config, std::string_view door, const Address& source = kClient) {
  return request_for(*enabled_door(config, door), source);
}
/// Opens it, and the kernel took it. Returns the grant's id.
inline std::uint64_t open(Ledger& ledger, const GrantRequest& asked, Instant now = kStart) {
  const auto plan = plan_open(ledger, {&asked, 1}, now);
  (void)ledger.accept(plan);
  return plan.after.back().id;
}

inline Record completed(std::string_view door, const Address& source = kClient) {
  return {RecordKind::knock, door_id(door), source, 0};
}
inline Record closing(std::string_view door, const Address& source = kClient) {
  return {RecordKind::closing, door_id(door), source, 0};
}
inline Record scan(const Address& source) {
  return {RecordKind::scan, {}, source, 0};
}

using Values = std::map<std::string, std::string, std::less<>>;
inline keeper::Asked asked(std::uint64_t ticket, std::string verb, Values values = {}) {
  return {ticket, {std::move(verb), std::move(values)}, Right::root, 0, false};
}

} // namespace knock
