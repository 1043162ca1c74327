// SPDX-License-Identifier: GPL-2.0-or-later
// What a door opens, where that leads, and which sources a grant lets in.
#include "parts.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace knock::grammar {
namespace {

constexpr std::uint8_t kGrant4 = 24; // the two lengths a grant may have beside the address itself
constexpr std::uint8_t kGrant6 = 64;

/// Adds the ports of one entry, complains when there are too many.
bool add_ports(Reader& in, const Written& item, const PortRange& range, std::set<Port>& ports) {
  for (auto number = range.first.number; ports.size() <= kMaxPorts; ++number) {
    ports.insert({range.first.protocol, number});
    if (number == range.last.number) break;
  }
  if (ports.size() <= kMaxPorts) return true;
  in.refuse(item.spot, fmt::format("opens has more than {} ports, counting ranges", kMaxPorts),
            "split the door in two");
  return false;
}

void add_target(Reader& in, const Written& entry, const Written& item, Forward& forward) {
  const auto target = parse_target(item.text);
  if (!target)
    return in.refuse(item.spot, shown(item) + " is no target",
                     "write \"192.0.2.20:443\" or \"[2001:db8::20]:443\"");
  const bool four = target->address.family == Family::ipv4;
  auto& slot = four ? forward.ipv4 : forward.ipv6;
  if (slot)
    return in.refuse(item.spot,
                     fmt::format("{} has two targets of IPv{}", one_line(entry.key), four ? '4' : '6'),
                     "write one, or one of each family");
  slot = target;
}

} // namespace

void refuse_port(Reader& in, const Written& item, std::string_view what, std::string_view example) {
  const auto tcp = "tcp/" + item.text;
  in.refuse(item.spot, fmt::format("{} is no {}", shown(item), what),
            parse_port(tcp) ? fmt::format("did you mean \"{}\"?", tcp) : std::string(example));
}

void read_opens(Reader& in, const Written& value, Door& door) {
  const auto items = in.strings(value, kOpens);
  std::set<Port> ports;
  for (const auto& item : items) {
    if (item.text == "any") {
      door.any = true;
      if (items.size() > 1)
        in.refuse(item.spot, "\"any\" stands with other ports", "write opens = [\"any\"] alone");
      continue;
    }
    const auto range = parse_port_range(item.text);
    if (!range)
      refuse_port(in, item, "port or range", "write tcp/N or udp/N with N 1 to 65535, or udp/8000-8010");
    else if (!add_ports(in, item, *range, ports))
      break;
  }
  door.opens.assign(ports.begin(), ports.end());
}

void read_forward(Reader& in, const Written& value, Door& door) {
  if (!in.is_table(value, "forward = { \"tcp/8443\" = \"192.0.2.20:443\" }")) return;
  if (value.items.empty() || value.items.size() > kMaxForwards)
    return in.refuse(value.spot, fmt::format("forward has {} entries", value.items.size()),
                     fmt::format("write 1 to {} of them", kMaxForwards));
  for (const auto& entry : value.items) {
    const auto outer = parse_port(entry.key);
    if (!outer)
      in.refuse(entry.key_spot, fmt::format("{} is no port", quoted(entry.key)),
                "write \"tcp/8443\" = \"192.0.2.20:443\"");
    Forward forward{outer.value_or(Port{}), {}, {}};
    if (entry.kind == Written::Kind::array)
      for (const auto& item : in.strings(entry, {2, 2})) add_target(in, entry, item, forward);
    else if (in.string(entry))
      add_target(in, entry, entry, forward);
    door.forwards.push_back(forward);
  }
  std::sort(door.forwards.begin(), door.forwards.end());
}

void read_grant(Reader& in, const Written& value, Door& door) {
  const auto four = fmt::format("/{}", kGrant4);
  const auto six = fmt::format("/{}", kGrant6);
  if (value.kind == Written::Kind::array) {
    const auto both = in.strings(value, {2, 2});
    if (both.empty()) return;
    if (both[0].text == four && both[1].text == six) {
      door.prefix4 = kGrant4;
      door.prefix6 = kGrant6;
      return;
    }
  } else if (const auto text = in.string(value); !text) {
    return;
  } else if (*text == four) {
    door.prefix4 = kGrant4;
    return;
  } else if (*text == six) {
    door.prefix6 = kGrant6;
    return;
  }
  in.refuse(value.spot, "grant is neither the /24 of IPv4 nor the /64 of IPv6",
            "write \"/24\", \"/64\" or both: [\"/24\", \"/64\"]");
}

} // namespace knock::grammar
