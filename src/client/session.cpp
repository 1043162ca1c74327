// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/session.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include <knock/client_text.hpp>

#include "client/names.hpp"
#include "client/show.hpp"
#include "core/client/profile_parts.hpp"
#include "system/fd.hpp"
#include "system/socket_address.hpp"

namespace knock::client {
namespace {

constexpr Millis kDefaultOpen{30'000};                  // `for` of a door that says none
constexpr Millis kDefaultMost{std::chrono::minutes{5}}; // `ttl_max` of a device that says none
constexpr std::uint16_t kAnyPort = 9;                   // asked for a route alone

bool holds(const std::vector<std::string>& hosts, std::string_view host) {
  return std::any_of(hosts.begin(), hosts.end(),
                     [&](const auto& one) { return profiles::same_host(one, host); });
}

/// The port of TCP that shows whether the door is open.
std::optional<std::uint16_t> first_port(const LineDoor& door) {
  for (const auto& range : door.ports)
    if (range.first.protocol == Protocol::tcp) return range.first.number;
  return std::nullopt;
}

/// Which names to ask: of the router the one that was typed, if it is one of its own.
std::vector<std::string> routers_of(const Session& session) {
  if (holds(session.profile.hosts, session.host)) return {session.host};
  return session.profile.hosts;
}

struct Found {
  std::vector<Way> ways;
  std::vector<std::pair<Address, std::string>> unreachable;
  std::optional<Address> unbound; ///< an address that no packet can be bound to
};

/// Where a packet would be bound, but for the network that translates its address.
std::vector<Prefix> nat64_for(const Session& session, const std::vector<Address>& routers) {
  const bool matters = session.keys && session.profile.source == Profile::Source::automatic &&
                       std::any_of(routers.begin(), routers.end(), [](const Address& router) {
                         const auto source = source_towards(router);
                         return router.family == Family::ipv6 && source && is_global(*source);
                       });
  return matters ? nat64_prefixes() : std::vector<Prefix>{};
}

void add_way(Found& found, const Session& session, const Address& router, const Address& target,
             const std::vector<Prefix>& nat64) {
  const auto source = source_towards(router);
  if (!source) {
    found.unreachable.emplace_back(router, std::strerror(source.error().code));
    return;
  }
  // A knock without keys proves nothing of its source.
  const auto binding = session.keys ? binding_of(session.profile, *source, router, nat64) : Binding{};
  if (!binding) {
    found.unbound = *source;
    return;
  }
  const Way way{router, target, *source, *binding};
  if (std::find(found.ways.begin(), found.ways.end(), way) == found.ways.end()) found.ways.push_back(way);
}

} // namespace

Millis Session::open_for() const {
  const auto usual = door.open_for.value_or(kDefaultOpen);
  return std::min(given.open_for.value_or(usual), std::max(usual, kDefaultMost));
}

Millis Session::sure_for() const {
  const auto usual = door.open_for.value_or(kDefaultOpen);
  return std::min(given.open_for.value_or(usual), usual);
}

Millis Session::sure_left(const Knocked& knocked, Wall now) const {
  auto sure = knocked;
  sure.until = std::min<Wall>(knocked.until, knocked.at + door.open_for.value_or(kDefaultOpen));
  return std::chrono::floor<Millis>(left_of(sure, now));
}

KnockedWay Session::knocked_way(const Way& way) const {
  return {door.name, way.router, way.source, way.binding.source.value_or(way.source)};
}

Result<Address> source_towards(const Address& to) {
  const system::Fd socket(::socket(system::family_of(to.family), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const system::SocketAddress peer(to, kAnyPort);
  if (!socket || ::connect(socket.get(), peer.get(), peer.size) != 0)
    return tl::unexpected(system::system_error("reach " + to_string(to)));
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0)
    return tl::unexpected(system::system_error("reach " + to_string(to)));
  const auto address = system::address_of(reinterpret_cast<const sockaddr&>(own));
  if (!address) return tl::unexpected(system::system_error("reach", EAFNOSUPPORT, {}));
  return *address;
}

tl::expected<Session, Failure> begin_session(const ClientLine& given, const std::string& host,
                                             std::optional<std::uint16_t> port, const std::string& door) {
  Session session;
  session.given = given;
  session.host = host;
  auto where = places();
  if (!where) return tl::unexpected(std::move(where.error()));
  session.places = std::move(*where);
  auto profile = profile_for(given, session.places, host);
  if (!profile) return tl::unexpected(std::move(profile.error()));
  session.profile = std::move(*profile);
  session.named = profiles::same_host(host, session.profile.name) ? session.profile.hosts.front() : host;
  const auto found =
      port ? find_door(session.profile, host, {Protocol::tcp, *port}) : find_door(session.profile, door);
  if (!found) return tl::unexpected(found.error());
  session.door = **found;
  session.port = port ? port : first_port(session.door);
  auto keys = ready_keys(given, session.places, session.profile);
  if (!keys) return tl::unexpected(std::move(keys.error()));
  session.keys = std::move(*keys);
  session.asked_password = session.keys && session.keys->password;
  return session;
}

std::optional<Failure> find_ways(Session& session, const std::function<bool()>& stop) {
  const auto routers = resolve(routers_of(session), session.given, stop);
  if (routers.addresses.empty()) return no_address(session.named, routers.reason, session.profile.name);
  // Through the router to a host behind it, which is reached by its own address.
  std::optional<Resolved> behind;
  if (holds(session.door.at, session.host)) {
    behind = resolve({session.host}, session.given, stop);
    if (behind->addresses.empty()) return no_address(session.host, behind->reason, session.profile.name);
  }
  Found found;
  const auto nat64 =
      parse_address(session.host) ? std::vector<Prefix>{} : nat64_for(session, routers.addresses);
  for (const auto& router : routers.addresses) {
    if (!behind) add_way(found, session, router, router, nat64);
    for (const auto& target : behind ? behind->addresses : std::vector<Address>{})
      if (target.family == router.family)
        add_way(found, session, router, target, nat64);
      else
        found.unreachable.emplace_back(target, fmt::format("{} is of the other family", to_string(router)));
  }
  if (!found.ways.empty()) {
    session.ways = std::move(found.ways);
    return std::nullopt;
  }
  if (found.unbound) return cannot_bind(session.profile, *found.unbound);
  return no_route(session.named, found.unreachable);
}

} // namespace knock::client
