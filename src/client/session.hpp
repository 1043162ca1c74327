// SPDX-License-Identifier: GPL-2.0-or-later
/// Session: a door of a profile, with all that it takes to knock at it from here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <knock/binding.hpp>
#include <knock/client_line.hpp>
#include <knock/client_state.hpp>
#include <knock/profile.hpp>

#include "client/profiles.hpp"

namespace knock::client {

/// From one address of ours to one of the router's.
struct Way {
  Address router;
  Address target; ///< where the service is: the router, or a host behind it (`at`)
  Address source; ///< ours
  Binding binding;
  bool operator==(const Way& other) const {
    return router == other.router && target == other.target && source == other.source;
  }
};

struct Session {
  ClientLine given;
  Places places;
  Profile profile;
  std::optional<ProfileKeys> keys; ///< none: the door is opened by its knock
  LineDoor door;
  bool asked_password = false;
  std::string host;                  ///< as it was typed
  std::string named;                 ///< the same, or the host of a profile that was typed by its own name
  std::optional<std::uint16_t> port; ///< of TCP, to connect to
  std::vector<Way> ways;

  [[nodiscard]] Millis
  open_for() const; ///< as far as the client knows: what is asked, unless the router gives less
  [[nodiscard]] Millis sure_for() const; ///< the router gives so much at least
  /// So long a door stays open for sure that was opened so, and from which nothing was lost since.
  [[nodiscard]] Millis sure_left(const Knocked& knocked, Wall now) const;
  [[nodiscard]] KnockedWay knocked_way(const Way& way) const;
};

/// Profile, door and keys. `port`: the door that opens it, else the one that is named, or the only one.
tl::expected<Session, Failure> begin_session(const ClientLine& given, const std::string& host,
                                             std::optional<std::uint16_t> port, const std::string& door);
/// How it is reached now: names and our own addresses are asked anew, within the timeout, or until `stop` says so. Errors:
/// exit 69, or 2 where no packet can be bound; then the ways are those of before.
std::optional<Failure> find_ways(Session& session, const std::function<bool()>& stop = {});

/// The address that this machine would use towards `to`; the system says so, no packet is sent.
Result<Address> source_towards(const Address& to);

} // namespace knock::client
