// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/nft_event.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cstring>

#include "wire/nftables.hpp"

namespace knock::wire {
namespace {

using Span = std::span<const std::byte>;

std::string to_text(Span payload) {
  const auto* text = reinterpret_cast<const char*>(payload.data());
  return {text, ::strnlen(text, payload.size())};
}

std::uint32_t to_number(Span payload) {
  std::uint32_t number = 0;
  if (payload.size() == sizeof number) std::memcpy(&number, payload.data(), sizeof number);
  return ntohl(number);
}

void parse_generation(Span attributes, NftEvent& event) {
  event.kind = NftEvent::Kind::generation;
  for_each_attribute(attributes, [&](std::uint16_t type, Span payload) {
    if (type == NFTA_GEN_ID) event.count = to_number(payload);
    if (type == NFTA_GEN_PROC_PID) event.process = to_number(payload);
    if (type == NFTA_GEN_PROC_NAME) event.name = to_text(payload);
  });
}

/// The value of an element's key or of its end, empty when it has none (a catch-all).
Span key_of(Span element, std::uint16_t which) {
  Span key;
  for_each_attribute(element, [&](std::uint16_t type, Span payload) {
    if (type != which) return;
    for_each_attribute(payload, [&](std::uint16_t inner, Span value) {
      if (inner == NFTA_DATA_VALUE) key = value;
    });
  });
  return key;
}

void put_key(Span element, const std::optional<NamedGrantSet>& grants, NftEvent& event) {
  const auto key = key_of(element, NFTA_SET_ELEM_KEY);
  if (!grants) return event.other_keys.emplace_back(key.begin(), key.end()), void();
  const auto decoded = decode_grant_key(key, grants->set, key_of(element, NFTA_SET_ELEM_KEY_END));
  if (!decoded || decoded->source.family != grants->family) return; // no set of this name is of our shape
  event.keys.push_back(*decoded);
}

NftEvent::Kind kind_of(std::uint16_t type) {
  using Kind = NftEvent::Kind;
  switch (type) {
  case NFT_MSG_DELTABLE: return Kind::table_gone;
  case NFT_MSG_DELSET: return Kind::set_gone;
  case NFT_MSG_NEWSET: return Kind::set_made;
  case NFT_MSG_DELRULE:
  case NFT_MSG_DELCHAIN: return Kind::rules_gone;
  case NFT_MSG_DELSETELEM: return Kind::element_gone;
  case NFT_MSG_NEWSETELEM: return Kind::element_made;
  case NFT_MSG_NEWTABLE:
  case NFT_MSG_NEWCHAIN:
  case NFT_MSG_NEWRULE: return Kind::made;
  default: return Kind::other;
  }
}

void parse_change(std::uint16_t type, Span attributes, NftEvent& event) {
  // Table first, name second, in every one of these messages; of a chain's own, the name is the third.
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_SET_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                NFTA_CHAIN_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_SET_NAME == 2 &&
                NFTA_SET_ELEM_LIST_SET == 2);
  const auto kind = kind_of(type);
  const bool is_chain = type == NFT_MSG_DELCHAIN || type == NFT_MSG_NEWCHAIN;
  const std::uint16_t chain = is_chain ? std::uint16_t{NFTA_CHAIN_NAME} : std::uint16_t{NFTA_RULE_CHAIN};
  if (kind == NftEvent::Kind::other) return;
  for_each_attribute(attributes, [&](std::uint16_t attribute, Span payload) {
    if (attribute == NFTA_TABLE_NAME) event.table = to_text(payload);
    if (kind == NftEvent::Kind::rules_gone || kind == NftEvent::Kind::made) {
      if (attribute == chain && type != NFT_MSG_NEWTABLE) event.chain = to_text(payload);
    } else if (kind != NftEvent::Kind::table_gone && attribute == NFTA_SET_NAME) {
      event.set = to_text(payload);
    }
  });
  if (kind == NftEvent::Kind::element_gone || kind == NftEvent::Kind::element_made)
    for (const auto element : elements_of(attributes)) put_key(element, grant_set_named(event.set), event);
  event.kind = kind;
}

} // namespace

std::optional<NamedGrantSet> grant_set_named(std::string_view name) {
  for (const auto set : kGrantSets)
    for (const auto family : {Family::ipv4, Family::ipv6})
      if (set_name(set, family) == name) return NamedGrantSet{set, family};
  return std::nullopt;
}

std::optional<NftEvent> parse_nft_event(const nlmsghdr* message) {
  if (message->nlmsg_type >> 8U != NFNL_SUBSYS_NFTABLES) return std::nullopt;
  const Span whole{reinterpret_cast<const std::byte*>(message), message->nlmsg_len};
  if (whole.size() < sizeof(nlmsghdr) + sizeof(nfgenmsg)) return std::nullopt;
  nfgenmsg header{};
  std::memcpy(&header, whole.data() + sizeof(nlmsghdr), sizeof header);
  const auto attributes = attributes_of(message, sizeof header);
  const auto type = static_cast<std::uint16_t>(message->nlmsg_type & 0xffU);
  NftEvent event;
  event.port_id = message->nlmsg_pid;
  if (type == NFT_MSG_NEWGEN)
    parse_generation(attributes, event);
  else if (header.nfgen_family == NFPROTO_INET)
    parse_change(type, attributes, event);
  return event;
}

} // namespace knock::wire
