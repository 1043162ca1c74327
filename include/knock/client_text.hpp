// SPDX-License-Identifier: GPL-2.0-or-later
/// Client text: what knockgate says when a door does not open, and what may be the reason.
///
/// In:     what was sent, what came back, what is known of clock and access.   Out: sentences.
/// Source: knockgate(1), ERRORS.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <knock/address.hpp>
#include <knock/control.hpp>
#include <knock/dates.hpp>
#include <knock/profile.hpp>

namespace knock {

/// How an opening went.
struct OpeningStory {
  std::string host;         ///< as it was typed
  std::string door;         ///< empty: a knock without a profile
  std::optional<Port> port; ///< that was connected to
  Millis timeout{};
  std::size_t knocks = 0; ///< packets, or whole sequences
  std::vector<Address> routers;
  bool signed_packets = false, bound = false, unbound = false;
  // What came back.
  std::optional<Carrier> rejected; ///< by a firewall on the way
  bool port_unreachable = false;   ///< said by the router itself
  bool all_refused = false;        ///< each try to connect
  // What is known here.
  bool clock_is_off = false; ///< not synchronised, and the packets have the time in them
  bool ever_opened = true;
  bool password = false;        ///< was asked for
  bool waits_for_admin = false; ///< the router may not have the public key of this device yet
  std::optional<Moment> ended;  ///< the end of the access, if it is over
  std::string user;             ///< at the router
};

/// Exit 1, with the hints that apply, the likeliest first.
Failure nothing_opened(const OpeningStory& story, ToLocal to_local);
Failure service_refuses(const OpeningStory& story);
/// Exit 69. `reason`: of the resolver.
Failure no_address(const std::string& host, const std::string& reason, const std::string& profile);
/// `why`: of each address, what the system said.
Failure no_route(const std::string& host, const std::vector<std::pair<Address, std::string>>& why);
/// Exit 2: no packet can be bound, and the router takes no other.
Failure cannot_bind(const Profile& profile, const Address& local);
/// Exit 77: `secret` is what `path` holds.
Failure exposed_keys(const std::string& path, unsigned mode);
Failure foreign_keys(const std::string& path, unsigned owner);

/// "84 ms", "1.2 s"
std::string span_text(Millis span);

} // namespace knock
