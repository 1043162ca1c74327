// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/extension_read.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_connlimit.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_hashlimit.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_mac.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_pkttype.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter/xt_state.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <knock/address.hpp>

namespace knock::host {
namespace {

using nlohmann::json;

struct Read {
  const wire::Extension& extension;
  bool six = false;

  /// What is missing at the end reads as zeros.
  template<class Info>
  Info as() const {
    Info info{};
    std::copy_n(extension.info.begin(), std::min(sizeof info, extension.info.size()),
                reinterpret_cast<std::byte*>(&info));
    return info;
  }
  [[nodiscard]] std::string text(const nf_inet_addr& address) const {
    Address shown{six ? Family::ipv6 : Family::ipv4, {}};
    std::memcpy(shown.octets.data(), &address, six ? 16 : 4);
    return to_string(shown);
  }
};

json unknown(const Read& in) {
  return {{"xt", {{"name", in.extension.name}}}};
}
json passes(bool yes = true) {
  return yes ? json() : json{{"never", nullptr}};
}
json match(const char* op, json left, json right) {
  return {{"match", {{"op", op}, {"left", std::move(left)}, {"right", std::move(right)}}}};
}
json range(json first, json last) {
  return first == last ? first : json{{"range", {first, last}}};
}

json read_conntrack(const Read& in) {
  const auto info = in.as<xt_conntrack_mtinfo3>(); // 2 begins likewise
  if ((info.match_flags & ~(XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS)) != 0) return unknown(in);
  return match((info.invert_flags & XT_CONNTRACK_STATE) != 0 ? "!in" : "in",
               {{"ct", {{"key", "state or nat"}}}}, info.state_mask);
}
json read_state(const Read& in) {
  return match("in", {{"ct", {{"key", "state or nat"}}}}, in.as<xt_state_info>().statemask);
}

json read_addrtype(const Read& in) {
  const auto info = in.as<xt_addrtype_info_v1>();
  const bool source = info.source != 0;
  if (source == (info.dest != 0)) return unknown(in); // both
  json types = json::array();
  for (unsigned type = 0; type < 16; ++type)
    if (((source ? info.source : info.dest) >> type & 1) != 0) types.push_back(type);
  const bool not_these = (info.flags & (source ? XT_ADDRTYPE_INVERT_SOURCE : XT_ADDRTYPE_INVERT_DEST)) != 0;
  return match(not_these ? "!=" : "==",
               {{"fib", {{"result", "type"}, {"flags", {source ? "saddr" : "daddr"}}}}}, {{"set", types}});
}

json read_multiport(const Read& in) {
  const auto info = in.as<xt_multiport_v1>();
  if (info.flags == XT_MULTIPORT_EITHER || info.count > XT_MULTI_PORTS) return unknown(in);
  json ports = json::array();
  for (int i = 0; i < info.count; ++i) {
    const int last = info.pflags[i] != 0 && i + 1 < info.count ? i + 1 : i;
    ports.push_back(range(info.ports[i], info.ports[last]));
    i = last;
  }
  return match(
      info.invert != 0 ? "!=" : "==",
      {{"payload", {{"protocol", "th"}, {"field", info.flags == XT_MULTIPORT_SOURCE ? "sport" : "dport"}}}},
      {{"set", ports}});
}

json read_iprange(const Read& in) {
  const auto info = in.as<xt_iprange_mtinfo>();
  const bool source = (info.flags & IPRANGE_SRC) != 0;
  if (source == ((info.flags & IPRANGE_DST) != 0)) return unknown(in);
  const auto& first = source ? info.src_min : info.dst_min;
  const auto& last = source ? info.src_max : info.dst_max;
  return match((info.flags & (source ? IPRANGE_SRC_INV : IPRANGE_DST_INV)) != 0 ? "!=" : "==",
               {{"payload", {{"protocol", in.six ? "ip6" : "ip"}, {"field", source ? "saddr" : "daddr"}}}},
               range(in.text(first), in.text(last)));
}

json read_pkttype(const Read& in) {
  const auto info = in.as<xt_pkttype_info>();
  return match(info.invert != 0 ? "!=" : "==", {{"meta", {{"key", "pkttype"}}}},
               static_cast<unsigned>(info.pkttype));
}

/// An ordinary source is in no list and in no set, and below every limit.
json read_recent(const Read& in) {
  const auto info = in.as<xt_recent_mtinfo_v1>();
  return passes(((info.check_set & XT_RECENT_SET) != 0) != (info.invert != 0));
}
json read_set(const Read& in) {
  const auto flags = in.as<xt_set_info>().flags;
  if ((flags & (IPSET_DIM_ONE_SRC | IPSET_DIM_TWO_SRC)) == 0) // what it holds is not looked up
    return match("==", {{"ipset", {{"key", "ipset"}}}}, 0U);
  return passes((flags & IPSET_INV_MATCH) != 0);
}
json read_hashlimit(const Read& in) {
  return passes((in.as<xt_hashlimit_mtinfo3>().cfg.mode & XT_HASHLIMIT_INVERT) == 0);
}
json read_mac(const Read& in) {
  return passes(in.as<xt_mac_info>().invert != 0);
}
json read_connlimit(const Read& in) {
  return passes((in.as<xt_connlimit_info>().flags & XT_CONNLIMIT_INVERT) != 0);
}
json read_rpfilter(const Read& in) {
  return passes((in.as<xt_rpfilter_info>().flags & XT_RPFILTER_INVERT) == 0);
}

json read_ct(const Read& in) {
  return (in.as<xt_ct_target_info>().flags & XT_CT_NOTRACK) != 0 ? json{{"notrack", nullptr}} : json();
}

/// DNAT and REDIRECT, in the two shapes of their bytes.
json read_nat(const Read& in, const char* kind, bool old) {
  nf_nat_range to{};
  if (old) {
    const auto info = in.as<nf_nat_ipv4_multi_range_compat>();
    to.flags = info.range[0].flags;
    to.min_addr.ip = info.range[0].min_ip;
    to.max_addr.ip = info.range[0].max_ip;
    to.min_proto = info.range[0].min;
    to.max_proto = info.range[0].max;
  } else {
    to = in.as<nf_nat_range>(); // nf_nat_range2 begins likewise
  }
  json target = json::object();
  if ((to.flags & NF_NAT_RANGE_MAP_IPS) != 0)
    target["addr"] = range(in.text(to.min_addr), in.text(to.max_addr));
  if ((to.flags & NF_NAT_RANGE_PROTO_SPECIFIED) != 0)
    target["port"] = range(ntohs(to.min_proto.all), ntohs(to.max_proto.all));
  return {{kind, target}};
}
json read_dnat(const Read& in) {
  return read_nat(in, "dnat", false);
}
json read_redirect(const Read& in) {
  return read_nat(in, "redirect", !in.six);
}

struct KnownExtension {
  std::string_view name;
  std::uint32_t first, last; // revisions
  json (*read)(const Read&);
};
constexpr KnownExtension kExtensions[] = {
    {"conntrack", 2, 3, read_conntrack},
    {"state", 0, 0, read_state},
    {"addrtype", 1, 1, read_addrtype},
    {"multiport", 1, 1, read_multiport},
    {"iprange", 1, 1, read_iprange},
    {"pkttype", 0, 0, read_pkttype},
    {"recent", 0, 1, read_recent},
    {"set", 1, 4, read_set},
    {"hashlimit", 3, 3, read_hashlimit},
    {"connlimit", 1, 1, read_connlimit},
    {"mac", 0, 0, read_mac},
    {"rpfilter", 0, 0, read_rpfilter},
    {"CT", 0, 2, read_ct},
    {"NOTRACK", 0, 0,
     [](const Read&) {
       return json{{"notrack", nullptr}};
     }},
    {"DNAT", 1, 2, read_dnat},
    {"REDIRECT", 0, 0, read_redirect},
    {"REJECT", 0, 0,
     [](const Read&) {
       return json{{"reject", nullptr}};
     }},
    {"rt", 0, 0, [](const Read&) { return passes(false); }}, // and has no routing header
};
constexpr std::string_view kPassedBy[] = {"comment",  "limit", "quota",    "LOG",      "NFLOG",     "AUDIT",
                                          "TRACE",    "SET",   "MARK",     "CONNMARK", "DSCP",      "TCPMSS",
                                          "CHECKSUM", "TEE",   "CLASSIFY", "SNAT",     "MASQUERADE"};

} // namespace

json as_statement(const wire::Extension& extension, const std::string& family) {
  const Read in{extension, family == "ip6"};
  for (const auto& known : kExtensions)
    if (known.name == extension.name && known.first <= extension.revision && extension.revision <= known.last)
      return known.read(in);
  return std::find(std::begin(kPassedBy), std::end(kPassedBy), extension.name) != std::end(kPassedBy)
             ? json()
             : unknown(in);
}

} // namespace knock::host
