// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/nft_table.hpp"

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cstring>
#include <memory>
#include <string_view>

#include <knock/embed.hpp>

namespace knock::wire {
namespace {

constexpr std::size_t kMessageBytes = 256; // header, table and set name

/// What libnftnl allocates and frees by functions of its own.
template<class Object>
using Owned = std::unique_ptr<Object, void (*)(const Object*)>;

std::string text_of(const char* text) {
  return text == nullptr ? std::string{} : text;
}

void add_verdict(const nftnl_expr* expression, RuleGist& gist) {
  const auto verdict = static_cast<std::int32_t>(nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT));
  const auto chain = text_of(nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN));
  switch (verdict) {
  case NFT_GOTO: return gist.add("goto " + chain);
  case NFT_JUMP: return gist.add("jump " + chain);
  case NFT_RETURN: return gist.add("return");
  case NF_ACCEPT: return gist.add("accept");
  case NF_DROP: return gist.add("drop");
  default: return;
  }
}

struct Reading {
  RuleInfo info;
  RuleGist gist;
};

int add_expression(nftnl_expr* expression, void* data) {
  auto& [info, gist] = *static_cast<Reading*>(data);
  const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
  if (name == "lookup") {
    const bool inverted = nftnl_expr_is_set(expression, NFTNL_EXPR_LOOKUP_FLAGS) &&
                          (nftnl_expr_get_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV) != 0;
    const auto set = text_of(nftnl_expr_get_str(expression, NFTNL_EXPR_LOOKUP_SET));
    if (!set.starts_with("__")) gist.looks(set, inverted);
  } else if (name == "dynset") {
    gist.looks(text_of(nftnl_expr_get_str(expression, NFTNL_EXPR_DYNSET_SET_NAME)), false);
  } else if (name == "log" && nftnl_expr_is_set(expression, NFTNL_EXPR_LOG_GROUP)) {
    info.log_group = nftnl_expr_get_u16(expression, NFTNL_EXPR_LOG_GROUP);
    gist.logs(std::to_string(*info.log_group));
  } else if (name == "limit") {
    gist.add("limit");
  } else if (name == "immediate" && nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT)) {
    add_verdict(expression, gist);
  }
  return 0;
}

/// A request that names no table and no family.
Bytes encode_bare(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence) {
  MessageWriter writer(kMessageBytes);
  writer.finish(nftnl_nlmsg_build_hdr(writer.next(), type, NFPROTO_UNSPEC, flags, sequence));
  return std::move(writer).take();
}

} // namespace

std::string comment_of(std::span<const std::byte> userdata) {
  static_assert(int{NFTNL_UDATA_SET_ELEM_COMMENT} == int{NFTNL_UDATA_TABLE_COMMENT});
  const auto byte = [&](std::size_t at) { return std::to_integer<std::size_t>(userdata[at]); };
  // type, length, value: libnftnl's iterator trusts the length, we do not
  for (std::size_t at = 0; at + 2 <= userdata.size() && at + 2 + byte(at + 1) <= userdata.size();
       at += 2 + byte(at + 1)) {
    if (byte(at) != NFTNL_UDATA_TABLE_COMMENT) continue;
    const auto* text = reinterpret_cast<const char*>(userdata.data() + at + 2);
    return {text, strnlen(text, byte(at + 1))};
  }
  return {};
}

bool is_message(const nlmsghdr* message, std::uint16_t type) {
  return message->nlmsg_type == static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | type) &&
         mnl_nlmsg_get_payload_len(message) >= sizeof(nfgenmsg);
}

std::string family_name(std::uint32_t family) {
  switch (family) {
  case NFPROTO_IPV4: return "ip";
  case NFPROTO_IPV6: return "ip6";
  case NFPROTO_INET: return "inet";
  case NFPROTO_BRIDGE: return "bridge";
  case NFPROTO_ARP: return "arp";
  default: return "netdev";
  }
}

Bytes encode_dump(std::uint16_t type, const std::string& table, const char* set_name,
                  std::uint32_t sequence) {
  MessageWriter writer(kMessageBytes + table.size());
  auto* message = nftnl_nlmsg_build_hdr(writer.next(), type, NFPROTO_INET, NLM_F_DUMP, sequence);
  if (!table.empty())
    mnl_attr_put_strz(message, NFTA_SET_TABLE, table.c_str()); // the same number in both message families
  if (set_name != nullptr) mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set_name);
  writer.finish(message);
  return std::move(writer).take();
}

Bytes encode_whole_dump(std::uint16_t type, std::uint32_t sequence) {
  return encode_bare(type, NLM_F_DUMP, sequence);
}

Bytes encode_rule_dump(const std::string& table, std::uint32_t sequence) {
  return encode_dump(NFT_MSG_GETRULE, table, nullptr, sequence); // NFTA_RULE_TABLE is that number too
}

std::optional<RuleInfo> parse_rule(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWRULE)) return std::nullopt;
  const Owned<nftnl_rule> rule(nftnl_rule_alloc(), nftnl_rule_free);
  if (nftnl_rule_nlmsg_parse(message, rule.get()) < 0) return std::nullopt;
  Reading reading{{nftnl_rule_get_u64(rule.get(), NFTNL_RULE_HANDLE),
                   text_of(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN))},
                  {}};
  nftnl_expr_foreach(rule.get(), add_expression, &reading);
  reading.info.gist = std::move(reading.gist).text();
  return std::move(reading.info);
}

Bytes encode_chain_dump(const std::string& table, std::uint32_t sequence) {
  return encode_dump(NFT_MSG_GETCHAIN, table, nullptr, sequence); // NFTA_CHAIN_TABLE likewise
}

std::optional<ChainInfo> parse_chain(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWCHAIN)) return std::nullopt;
  const Owned<nftnl_chain> chain(nftnl_chain_alloc(), nftnl_chain_free);
  if (nftnl_chain_nlmsg_parse(message, chain.get()) < 0) return std::nullopt;
  const auto number = [&](std::uint16_t which) {
    return nftnl_chain_is_set(chain.get(), which) ? nftnl_chain_get_u32(chain.get(), which) : 0;
  };
  return ChainInfo{text_of(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE)),
                   text_of(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)),
                   nftnl_chain_get_u64(chain.get(), NFTNL_CHAIN_HANDLE),
                   number(NFTNL_CHAIN_FLAGS),
                   number(NFTNL_CHAIN_USE),
                   number(NFTNL_CHAIN_HOOKNUM),
                   number(NFTNL_CHAIN_PRIO),
                   number(NFTNL_CHAIN_POLICY),
                   text_of(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE))};
}

Bytes encode_set_dump(const std::string& table, std::uint32_t sequence) {
  return encode_dump(NFT_MSG_GETSET, table, nullptr, sequence);
}

Bytes encode_table_dump(std::uint32_t sequence) {
  return encode_dump(NFT_MSG_GETTABLE, {}, nullptr, sequence);
}

Bytes encode_generation_get(std::uint32_t sequence) {
  return encode_bare(NFT_MSG_GETGEN, NLM_F_ACK, sequence);
}

std::optional<SetInfo> parse_set(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWSET)) return std::nullopt;
  const Owned<nftnl_set> set(nftnl_set_alloc(), nftnl_set_free);
  if (nftnl_set_nlmsg_parse(message, set.get()) < 0) return std::nullopt;
  const auto* name = nftnl_set_get_str(set.get(), NFTNL_SET_NAME);
  if (name == nullptr) return std::nullopt;
  return SetInfo{name,
                 nftnl_set_get_u64(set.get(), NFTNL_SET_HANDLE),
                 nftnl_set_get_u32(set.get(), NFTNL_SET_FLAGS),
                 nftnl_set_get_u32(set.get(), NFTNL_SET_KEY_TYPE),
                 nftnl_set_get_u32(set.get(), NFTNL_SET_KEY_LEN),
                 nftnl_set_get_u32(set.get(), NFTNL_SET_DESC_SIZE),
                 nftnl_set_get_u32(set.get(), NFTNL_SET_DATA_TYPE),
                 nftnl_set_get_u64(set.get(), NFTNL_SET_TIMEOUT)};
}

std::optional<TableInfo> parse_table(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWTABLE)) return std::nullopt;
  const Owned<nftnl_table> table(nftnl_table_alloc(), nftnl_table_free);
  if (nftnl_table_nlmsg_parse(message, table.get()) < 0) return std::nullopt;
  const auto* name = nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME);
  if (name == nullptr) return std::nullopt;
  std::uint32_t size = 0;
  const auto* data =
      static_cast<const std::byte*>(nftnl_table_get_data(table.get(), NFTNL_TABLE_USERDATA, &size));
  return TableInfo{family_name(nftnl_table_get_u32(table.get(), NFTNL_TABLE_FAMILY)), name,
                   nftnl_table_get_u64(table.get(), NFTNL_TABLE_HANDLE),
                   nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS),
                   data == nullptr ? std::string{} : comment_of({data, size})};
}

} // namespace knock::wire
