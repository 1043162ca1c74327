// SPDX-License-Identifier: GPL-2.0-or-later
// What a door opens, where that leads, and which sources a grant lets in.
#include "parts.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace knock::grammar {
namespace {

constexpr std::uint8_t kGrant4 = 24; // the two lengths a grant may have beside the address itself
constexpr std::uint8_t kGrant6 = 64;

/// A few ports are an element each; of more, those in a row are one.
void fill_opens(std::vector<PortRange> entries, Door& door) {
  std::sort(entries.begin(), entries.end());
  std::vector<PortRange> rows; // no port twice
  for (const auto& entry : entries)
    if (!rows.empty() && holds(rows.back(), entry.first))
      rows.back().last = std::max(rows.back().last, entry.last);
    else
      rows.push_back(entry);
  door.ranges = std::move(rows);
  std::size_t count = 0;
  for (const auto& row : door.ranges) count += size_of(row);
  if (count <= kMaxPorts) {
    door.opens = opened_by(door);
    door.ranges.clear();
    return;
  }
  for (const auto& row : door.ranges)
    if (row.first == row.last) door.opens.push_back(row.first);
  std::erase_if(door.ranges, [](const PortRange& row) { return row.first == row.last; });
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
  std::vector<PortRange> entries;
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
    else
      entries.push_back(*range);
  }
  fill_opens(std::move(entries), door);
}

void read_forward(Reader& in, const Written& value, Door& door) {
  if (!in.is_table(value, "forward = { \"tcp/8443\" = \"192.0.2.20:443\" }")) return;
  if (value.items.empty() || value.items.size() > kMaxForwards)
    return in.refuse(value.spot, fmt::format("forward has {} entries", value.items.size()),
                     fmt::format("write 1 to {} of them", kMaxForwards));
  for (const auto& entry : value.items) {
    const auto outer = parse_port(entry.key);
    if (!outer)
      in.refuse(entry.key_spot, fmt::format("{} is no port", in_quotes(entry.key)),
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

namespace knock {

bool names_interface(std::string_view written, std::string_view interface) {
  return written.ends_with('*') ? interface.starts_with(written.substr(0, written.size() - 1))
                                : written == interface;
}

bool trusts_interface(const Config& config, std::string_view interface) {
  const auto& trust = config.gate.trust_interfaces;
  return std::any_of(trust.begin(), trust.end(),
                     [&](const std::string& written) { return names_interface(written, interface); });
}

bool opens(const Door& door, Port port) {
  return std::binary_search(door.opens.begin(), door.opens.end(), port) ||
         std::any_of(door.ranges.begin(), door.ranges.end(),
                     [&](const PortRange& range) { return holds(range, port); });
}

bool guards(const Door& door, Port port) {
  return opens(door, port) || std::any_of(door.forwards.begin(), door.forwards.end(),
                                          [&](const Forward& forward) { return forward.outer == port; });
}

std::vector<Port> opened_by(const Door& door) {
  auto ports = door.opens;
  for (const auto& range : door.ranges)
    for (std::size_t i = 0; i < size_of(range); ++i)
      ports.push_back({range.first.protocol, static_cast<std::uint16_t>(range.first.number + i)});
  std::sort(ports.begin(), ports.end());
  return ports;
}

} // namespace knock
