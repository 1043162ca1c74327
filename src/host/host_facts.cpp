// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/host_facts.hpp"

#include <grp.h>
#include <ifaddrs.h>
#include <linux/route.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "host/firewall_list.hpp"
#include "system/boot_path.hpp"
#include "system/child.hpp"

namespace knock::host {
namespace {

std::optional<std::int64_t> read_number(const char* path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

bool is_off(const char* sysctl) {
  return read_number(sysctl) == 0;
}

std::optional<std::uint32_t> parse_hex(std::string_view text) {
  std::uint32_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

/// Words of the host's byte order, eight digits each.
std::optional<Address> parse_local(std::string_view text) {
  Address address{text.size() == 8 ? Family::ipv4 : Family::ipv6, {}};
  if (text.size() != 8 && text.size() != 32) return std::nullopt;
  for (std::size_t at = 0; at < text.size(); at += 8) {
    const auto word = parse_hex(text.substr(at, 8));
    if (!word) return std::nullopt;
    std::memcpy(address.octets.data() + at / 2, &*word, sizeof *word);
  }
  return address;
}

bool is_loopback(const Address& address) {
  const auto& octets = address.octets;
  if (address.family == Family::ipv4) return octets[0] == 127;
  return octets.back() == 1 &&
         std::all_of(octets.begin(), octets.end() - 1, [](auto octet) { return octet == 0; });
}

std::map<std::string, Interface> list_interfaces() {
  std::map<std::string, Interface> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return found;
  for (const auto* at = list; at != nullptr; at = at->ifa_next) {
    auto& interface = found[at->ifa_name];
    Address own;
    if (at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_INET) {
      std::memcpy(own.octets.data(), &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr, 4);
      interface.addresses.push_back(own);
    } else if (at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_INET6) {
      own.family = Family::ipv6;
      std::memcpy(own.octets.data(), &reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr, 16);
      interface.addresses.push_back(own);
    }
  }
  ::freeifaddrs(list);
  return found;
}

/// The user who runs the commands of doors: that of knockgate-runner.service. Where this unit is not installed the daemon
/// starts the runner itself, and the user is `nobody`.
std::string runner_user() {
  const auto user = system::unit_user("knockgate-runner.service");
  return user.empty() ? "nobody" : user;
}

/// Whether `user` may search or execute what stands there.
bool may_enter(const struct stat& about, const std::string& user, const system::Identity& who) {
  std::array<gid_t, 64> groups{};
  int count = static_cast<int>(groups.size());
  ::getgrouplist(user.c_str(), who.gid, groups.data(), &count); // a longer list is cut
  const gid_t* end = groups.data() + std::min<std::size_t>(static_cast<unsigned>(count), groups.size());
  if (who.uid == 0) return (about.st_mode & (S_ISDIR(about.st_mode) ? 0777U : 0111U)) != 0;
  const bool in_group = std::find<const gid_t*>(groups.data(), end, about.st_gid) != end;
  return (about.st_mode >> (about.st_uid == who.uid ? 6U : in_group ? 3U : 0U) & 1U) != 0;
}

/// Why `user` cannot start it; empty when it can, or when we may not look.
std::string run_fault(const std::string& path, const std::string& user) {
  const auto who = system::identity_of(user);
  if (!who) return fmt::format("there is no user {}, who runs it", user);
  struct stat about {};
  std::filesystem::path at;
  for (const auto& part : std::filesystem::path(path)) {
    at /= part;
    if (::stat(at.c_str(), &about) != 0)
      return errno == ENOENT || errno == ENOTDIR ? fmt::format("there is no {}", at.string()) : "";
    if (!may_enter(about, user, *who))
      return fmt::format("{} is closed to user {}, who runs it", at.string(), user);
  }
  return S_ISREG(about.st_mode) ? "" : path + " is no file";
}

} // namespace

void read_routes4(std::istream& text, HostFacts& facts) {
  for (std::string line; std::getline(text, line);) {
    std::istringstream in(line);
    std::string name;
    std::uint32_t to = 0, gateway = 0, flags = 0, mask = 0; // network order, as this machine reads it
    int skip = 0;
    if (!(in >> name >> std::hex >> to >> gateway >> flags >> std::dec >> skip >> skip >> skip >> std::hex >>
          mask))
      continue;
    if ((flags & RTF_REJECT) != 0) continue;
    if (mask == 0) {
      facts.interfaces[name].way_out = true;
      continue;
    }
    Prefix prefix;
    std::memcpy(prefix.address.octets.data(), &to, sizeof to);
    prefix.length = static_cast<std::uint8_t>(__builtin_popcount(mask));
    facts.routes.push_back({prefix, name});
  }
}

void read_routes6(std::istream& text, HostFacts& facts) {
  for (std::string line; std::getline(text, line);) {
    std::istringstream in(line);
    std::string to, skip, name;
    unsigned length = 0, flags = 0;
    if (!(in >> to >> std::hex >> length >> skip >> skip >> skip >> skip >> skip >> skip >> flags >> name))
      continue;
    if (to.size() != 32 || length > 128 || (flags & RTF_REJECT) != 0 || name == "lo") continue;
    if (length == 0) {
      facts.interfaces[name].way_out = true;
      continue;
    }
    Prefix prefix{{Family::ipv6, {}}, static_cast<std::uint8_t>(length)};
    for (std::size_t i = 0; i < 16; ++i)
      prefix.address.octets[i] =
          static_cast<std::uint8_t>(std::strtoul(to.substr(2 * i, 2).c_str(), nullptr, 16));
    facts.routes.push_back({prefix, name});
  }
}

void read_listeners(std::istream& text, Protocol protocol, HostFacts& facts) {
  constexpr std::string_view kListens = "0A", kUnconnected = "07";
  std::string line;
  while (std::getline(text, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state;
    if (!(words >> number >> local >> remote >> state)) continue;
    const auto colon = std::min(local.find(':'), local.size());
    const auto port = parse_hex(std::string_view(local).substr(std::min(colon + 1, local.size())));
    const auto address = parse_local(std::string_view(local).substr(0, colon));
    if (state != (protocol == Protocol::tcp ? kListens : kUnconnected) || !port || *port == 0 ||
        *port > 0xffff)
      continue;
    if (address && !is_loopback(*address))
      facts.listening.insert({protocol, static_cast<std::uint16_t>(*port)});
  }
}

HostFacts look_at_host(const Config& config) {
  HostFacts facts;
  if (count_enabled(config) == 0) return facts;
  facts.forwards4 = !is_off("/proc/sys/net/ipv4/ip_forward");
  facts.forwards6 = !is_off("/proc/sys/net/ipv6/conf/all/forwarding");
  facts.tells_flows = !is_off("/proc/sys/net/netfilter/nf_conntrack_events");
  const auto silent = read_number("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established");
  facts.silent_flow_s = silent.value_or(facts.silent_flow_s);
  facts.interfaces = list_interfaces();
  std::ifstream routes4("/proc/self/net/route");
  std::ifstream routes6("/proc/self/net/ipv6_route");
  read_routes4(routes4, facts);
  read_routes6(routes6, facts);
  for (const auto& [name, protocol] : {std::pair("tcp", Protocol::tcp), std::pair("tcp6", Protocol::tcp),
                                       std::pair("udp", Protocol::udp), std::pair("udp6", Protocol::udp)}) {
    std::ifstream sockets(fmt::format("/proc/self/net/{}", name));
    read_listeners(sockets, protocol, facts);
  }
  const auto runner = runner_user();
  for (const auto& door : config.doors)
    for (const auto* command : {&door.run, &door.run_close})
      if (door.enabled && !command->empty())
        facts.run_faults[command->front()] = run_fault(command->front(), runner);
  const auto& boot = config.nft.boot_file;
  std::error_code none;
  if (config.nft.mode == Mode::gate && !boot.empty() && std::filesystem::exists(boot, none))
    facts.boot = system::boot_path(boot);
  facts.firewall = list_firewall(config);
  return facts;
}

} // namespace knock::host
