// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/advice.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace knock::host {
namespace {

/// The command that made this chain, or "": iptables has fixed names, and no table of family inet.
std::string_view iptables_of(const Chain& base) {
  static const std::set<std::string_view> kTables{"filter", "mangle", "nat", "raw", "security"};
  static const std::set<std::string_view> kChains{"FORWARD", "INPUT", "PREROUTING"};
  if (!kTables.contains(base.table) || !kChains.contains(base.name)) return "";
  return base.family == "ip" ? "iptables" : base.family == "ip6" ? "ip6tables" : "";
}

std::string insert_text(std::string_view iptables, const Chain& base) {
  if (iptables.empty()) return fmt::format("nft insert rule {} {} {}", base.family, base.table, base.name);
  return fmt::format("{}{} -I {}", iptables, base.table == "filter" ? "" : " -t " + base.table, base.name);
}

/// Of at most 15 ports each, of which a range is two: netfilter's multiport takes no more.
std::vector<std::string> ufw_lines(std::string_view protocol, const std::vector<std::string>& numbers) {
  constexpr std::size_t kMost = 15;
  std::vector<std::string> lines;
  std::size_t room = 0;
  for (const auto& number : numbers) {
    const std::size_t taken = number.find(':') == number.npos ? 1 : 2;
    if (room < taken) {
      lines.push_back(fmt::format("ufw allow proto {} to any port {}", protocol, number));
      room = kMost;
    } else {
      lines.back() += "," + number;
    }
    room -= taken;
  }
  return lines;
}

std::string run(const std::vector<std::string>& lines) {
  return fmt::format("run: {}", fmt::join(lines, "; "));
}

} // namespace

std::string advice_for_ports(const Firewall& firewall, const Chain& base, const Rows& rows) {
  const bool firewalld = base.table == "firewalld";
  const bool ufw = std::any_of(firewall.chains.begin(), firewall.chains.end(), [&](const auto& one) {
    return one.second.table == base.table && one.second.name.starts_with("ufw");
  });
  const auto iptables = iptables_of(base);
  std::vector<std::string> lines;
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    const auto name = to_string(protocol);
    std::vector<std::string> numbers;
    for (const auto& [first, last] : rows)
      if (first.protocol == protocol)
        numbers.push_back(first == last ? fmt::format("{}", first.number)
                                        : fmt::format("{}{}{}", first.number,
                                                      ufw || !iptables.empty() ? ':' : '-', last.number));
    if (numbers.empty()) continue;
    if (auto split = ufw ? ufw_lines(name, numbers) : std::vector<std::string>{}; ufw)
      lines.insert(lines.end(), split.begin(), split.end());
    else if (firewalld)
      lines.push_back(fmt::format("firewall-cmd --permanent --add-port={}/{}",
                                  fmt::join(numbers, fmt::format("/{} --add-port=", name)), name));
    else if (iptables.empty())
      lines.push_back(fmt::format("{} {} dport {{ {} }} accept", insert_text(iptables, base), name,
                                  fmt::join(numbers, ", ")));
    else
      for (const auto& number : numbers)
        lines.push_back(
            fmt::format("{} -p {} --dport {} -j ACCEPT", insert_text(iptables, base), name, number));
  }
  if (firewalld) lines.emplace_back("firewall-cmd --reload");
  return run(lines);
}

std::string advice_for_sent(const Chain& base, const Sent& sent) {
  const auto iptables = iptables_of(base);
  const auto line = [&](const std::string& to) {
    return insert_text(iptables, base) + to +
           (iptables.empty() ? " ct status dnat accept" : " -m conntrack --ctstate DNAT -j ACCEPT");
  };
  std::vector<std::string> lines;
  for (const auto& [protocol, target] : sent) {
    const auto address = to_string(target.address);
    const auto family = target.address.family == Family::ipv4 ? "ip" : "ip6";
    lines.push_back(
        line(iptables.empty()
                 ? fmt::format(" {} daddr {} {} dport {}", family, address, to_string(protocol), target.port)
                 : fmt::format(" -d {} -p {} --dport {}", address, to_string(protocol), target.port)));
  }
  if (lines.empty()) lines.push_back(line(""));
  return run(lines);
}

} // namespace knock::host
