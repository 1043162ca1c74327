// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/extension.hpp"

#include <endian.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include "wire/nft_table.hpp"

namespace knock::wire {
namespace {

// A match and a target are told apart by the expression's name alone.
static_assert(int{NFTA_MATCH_NAME} == int{NFTA_TARGET_NAME} && int{NFTA_MATCH_REV} == int{NFTA_TARGET_REV} &&
              int{NFTA_MATCH_INFO} == int{NFTA_TARGET_INFO});

using Span = std::span<const std::byte>;

std::string text_of(Span value) {
  const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
  return std::string(text.substr(0, text.find('\0')));
}

template<class Number>
Number number_of(Span value) {
  Number number{};
  if (value.size() == sizeof number) std::memcpy(&number, value.data(), sizeof number);
  return number;
}

Extension parse_extension(Span data) {
  Extension extension;
  for_each_attribute(data, [&](std::uint16_t type, Span value) {
    if (type == NFTA_MATCH_NAME) extension.name = text_of(value);
    if (type == NFTA_MATCH_REV) extension.revision = be32toh(number_of<std::uint32_t>(value));
    if (type == NFTA_MATCH_INFO) extension.info.assign(value.begin(), value.end());
  });
  return extension;
}

} // namespace

std::optional<ExtendedRule> parse_extended_rule(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWRULE)) return std::nullopt;
  ExtendedRule rule;
  rule.family = family_name(static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family);
  const auto read_expression = [&](std::uint16_t, Span expression) {
    std::string name;
    Span data;
    for_each_attribute(expression, [&](std::uint16_t type, Span value) {
      if (type == NFTA_EXPR_NAME) name = text_of(value);
      if (type == NFTA_EXPR_DATA) data = value;
    });
    if (name == "match" || name == "target") rule.extensions.push_back(parse_extension(data));
  };
  for_each_attribute(attributes_of(message, sizeof(nfgenmsg)), [&](std::uint16_t type, Span value) {
    if (type == NFTA_RULE_TABLE) rule.table = text_of(value);
    if (type == NFTA_RULE_CHAIN) rule.chain = text_of(value);
    if (type == NFTA_RULE_HANDLE) rule.handle = be64toh(number_of<std::uint64_t>(value));
    if (type == NFTA_RULE_EXPRESSIONS) for_each_attribute(value, read_expression);
  });
  if (rule.extensions.empty()) return std::nullopt;
  return rule;
}

} // namespace knock::wire
