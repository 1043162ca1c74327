// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/ssh_config.hpp"

#include <unistd.h>

#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace knock::client {
namespace {

/// Where this program lies; the packaged place where the system does not say.
std::string own_path() {
  std::array<char, 4'096> path{};
  const auto size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : "/usr/bin/knockgate";
}

/// For the shell that ssh gives it to.
std::string quoted_path() {
  const auto path = own_path();
  return path.find_first_of(" \t'\"\\$`&;()<>*?") == std::string::npos ? path : fmt::format("'{}'", path);
}

} // namespace

std::string ssh_config(const Profile& profile) {
  std::vector<std::string> hosts;
  constexpr Port kSsh{Protocol::tcp, 22};
  for (const auto& host : profile.hosts)
    if (find_door(profile, host, kSsh)) hosts.push_back(host);
  for (const auto& door : profile.doors)
    for (const auto& host : door.at)
      if (find_door(profile, host, kSsh)) hosts.push_back(host);
  if (hosts.empty()) return {};
  return fmt::format("Host {}\n    ProxyCommand {} connect %h %p\n", fmt::join(hosts, " "), quoted_path());
}

} // namespace knock::client
