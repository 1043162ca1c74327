// SPDX-License-Identifier: GPL-2.0-or-later
// nft's JSON, read into chains of statements.
#include "host/firewall.hpp"

#include <algorithm>

#include "host/extension_read.hpp"
#include "host/json_walk.hpp"

namespace knock::host {
namespace {

using nlohmann::json;
using Kind = Statement::Kind;
using Extensions = std::map<std::pair<Name, std::uint64_t>, const std::vector<wire::Extension>*>;

Name name_in(const json& object, const char* key) {
  return {std::string(word(object, "family")), std::string(word(object, "table")),
          std::string(word(object, key))};
}

struct KnownStatement {
  std::string_view name;
  Kind kind;
};
constexpr KnownStatement kStatements[] = {
    {"match", Kind::match},     {"accept", Kind::verdict}, {"drop", Kind::verdict},
    {"reject", Kind::verdict},  {"return", Kind::verdict}, {"continue", Kind::verdict},
    {"jump", Kind::verdict},    {"goto", Kind::verdict},   {"vmap", Kind::map},
    {"notrack", Kind::notrack}, {"redirect", Kind::lead},  {"tproxy", Kind::lead},
    {"dnat", Kind::lead},       {"never", Kind::never}};

/// What an ordinary packet passes. A limit, a quota and a count hold for it as long as they are not "over".
constexpr std::string_view kPassing[] = {
    "counter", "log", "quota", "last", "flow", "ct helper",  "ct timeout", "ct expectation", "secmark",
    "set",     "map", "meter", "snat", "dup",  "masquerade", "limit",      "ct count",       "comment"};

/// `limit rate over`, `ct count over`, also of a set or meter.
bool is_over(const json& inner) {
  const auto& nested = at_or_null(inner, "stmt");
  const auto& first = nested.is_array() && !nested.empty() ? nested[0] : nested;
  return at_or_null(inner, "inv") == true || (first.is_object() && !first.empty() && is_over(*first.begin()));
}

/// Nothing for what an ordinary packet passes.
std::optional<Statement> read_statement(std::string_view kind, const json& inner, Firewall& firewall) {
  Statement statement{Kind::unjudged, std::string(kind), inner};
  const auto* known = std::find_if(std::begin(kStatements), std::end(kStatements),
                                   [&](const KnownStatement& one) { return one.name == kind; });
  if (known != std::end(kStatements)) {
    statement.kind = known->kind;
    return statement;
  }
  if (kind == "mangle") {
    const auto [target, key] = only(at_or_null(inner, "key"));
    firewall.sets_marks = firewall.sets_marks || (key != nullptr && word(*key, "key") == "mark");
    if (target != "payload" || !word(*key, "field").ends_with("ort")) return std::nullopt;
    statement.name = "a rewritten port";
  } else if (kind == "xt") {
    statement.name += " " + std::string(word(inner, "name"));
  } else if (std::find(std::begin(kPassing), std::end(kPassing), kind) != std::end(kPassing)) {
    if (!is_over(inner)) return std::nullopt;
    statement.kind = Kind::never;
  }
  return statement;
}

void read_rule(const json& object, const Extensions& extensions, Firewall& firewall) {
  const auto name = name_in(object, "chain");
  const auto chain = firewall.chains.find(name);
  if (chain == firewall.chains.end()) return;
  auto& rule = chain->second.rules.emplace_back();
  const auto& handle = at_or_null(object, "handle");
  if (handle.is_number_unsigned()) rule.handle = handle.get<std::uint64_t>();
  const auto extended = extensions.find({name, rule.handle});
  std::size_t next = 0;
  for (const auto& one : at_or_null(object, "expr")) {
    json native;
    if (only(one).first == "xt" && extended != extensions.end() && next < extended->second->size()) {
      const auto& extension = (*extended->second)[next++];
      firewall.sets_marks = firewall.sets_marks || extension.name.ends_with("MARK");
      native = as_statement(extension, chain->second.family);
      if (native.is_null()) continue;
    }
    const auto [kind, inner] = only(native.is_null() ? one : native);
    if (inner == nullptr) continue;
    if (auto statement = read_statement(kind, *inner, firewall))
      rule.statements.push_back(std::move(*statement));
  }
}

void read_chain(const json& object, Firewall& firewall) {
  const auto& priority = at_or_null(object, "prio");
  Chain chain;
  std::tie(chain.family, chain.table, chain.name) = name_in(object, "name");
  chain.hook = word(object, "hook");
  chain.priority = priority.is_number_integer() ? priority.get<int>() : 0;
  chain.drops = word(object, "policy") == "drop";
  firewall.chains.try_emplace(name_in(object, "name"), std::move(chain));
}

void read_set(const json& object, Firewall& firewall) {
  auto& set = firewall.sets[name_in(object, "name")];
  set.map = object.contains("map");
  set.type = at_or_null(object, "type");
  const auto& elements = at_or_null(object, "elem");
  if (elements.is_array()) set.elements = elements;
}

} // namespace

Firewall parse_firewall(const std::vector<std::string>& listings,
                        const std::vector<wire::ExtendedRule>& extended) {
  Extensions extensions;
  for (const auto& rule : extended)
    extensions[{{rule.family, rule.table, rule.chain}, rule.handle}] = &rule.extensions;
  Firewall firewall;
  for (const auto& text : listings) {
    const auto whole = json::parse(text, nullptr, false);
    for (const auto& one : at_or_null(whole, "nftables")) {
      const auto [kind, object] = only(one);
      if (object == nullptr || !object->is_object()) continue;
      if (kind == "chain") read_chain(*object, firewall);
      if (kind == "rule") read_rule(*object, extensions, firewall);
      if (kind == "flowtable") firewall.flowtables.insert(name_in(*object, "name"));
      if (kind == "set" || kind == "map") read_set(*object, firewall);
    }
  }
  return firewall;
}

void read_elements(std::string_view text, Firewall& firewall) {
  const auto whole = json::parse(text, nullptr, false);
  for (const auto& one : at_or_null(whole, "nftables")) {
    const auto [kind, object] = only(one);
    if (object == nullptr || (kind != "set" && kind != "map")) continue;
    read_set(*object, firewall);
    auto& elements = firewall.sets[name_in(*object, "name")].elements;
    if (!elements) elements = json::array(); // it has none
  }
}

} // namespace knock::host
