// SPDX-License-Identifier: GPL-2.0-or-later
/// Profile: what a client knows of one router: NAME.toml, and its keys in NAME.key beside it.
///
/// In:     the texts of both, or a line to join with.   Out: checked values, or findings with their places.
/// Memory: keys are overwritten when they leave scope; no finding shows one.
/// Source: knockgate.profile(5).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/address.hpp>
#include <knock/config_text.hpp>
#include <knock/control.hpp>
#include <knock/enrol.hpp>
#include <knock/findings.hpp>
#include <knock/line.hpp>
#include <knock/time.hpp>

namespace knock {

/// What a packet travels in: UDP to a port, or an echo request.
struct Carrier {
  std::uint16_t port = 0; ///< of UDP; 0: echo request
  auto operator<=>(const Carrier&) const = default;
};
/// "udp/17022", "icmp"; nothing else.
std::optional<Carrier> parse_carrier(std::string_view text);
std::string to_string(Carrier carrier);

struct Profile {
  /// Whether a packet names the source that it must come from.
  enum class Source : std::uint8_t { automatic, bound, unbound, address };

  std::string name; ///< of its file
  std::vector<std::string> hosts;
  std::string device; ///< "alice/laptop"; empty: it knows a door's knock alone
  std::vector<Carrier> send;
  Source source = Source::automatic;
  std::optional<Address> address; ///< the public one; Source::address alone
  bool require_source = false;    ///< the router takes no unbound packet of this device
  bool for_src = false;           ///< it may open for another address
  bool counter = false;           ///< clock = "none": stamps count, the clock is not asked
  std::optional<Moment> claim;    ///< until then the router takes its public key
  std::optional<Moment> until;    ///< the end of its access
  std::vector<LineDoor> doors;    ///< in the order of the file
  bool operator==(const Profile&) const = default;
};

/// What packets are made with. `seed`: mode A. `psk`: mode S; neither: a password makes it (kn1_client.hpp).
struct ProfileKeys {
  std::vector<kn1::Server> servers; ///< a packet for each
  kn1::Kid kid;
  kn1::Secret secret;
  std::optional<kn1::Secret> seed;
  std::optional<kn1::Secret> psk;
  bool password = false; ///< it was asked for just now, and made `psk`
  bool operator==(const ProfileKeys&) const = default;
};

template<class T>
struct ParsedProfile {
  std::optional<T> value;        ///< absent when any finding is an error
  std::vector<Finding> findings; ///< errors, as of a configuration
};
/// `name`: what the profile is called. Dates without an offset are of the zone that `of_local` knows; null: UTC.
ParsedProfile<Profile> parse_profile(const ConfigText& text, std::string_view name,
                                     Moment (*of_local)(LocalMoment) = nullptr);
ParsedProfile<ProfileKeys> parse_profile_keys(const ConfigText& text);

/// As `parse_profile` and `parse_profile_keys` read them.
std::string profile_text(const Profile& profile);
Sensitive profile_keys_text(const ProfileKeys& keys);

/// What a line says. `seed`: the key that the device made, of an invite alone. A knock's line has no keys.
/// Errors: a kind that this version does not join with.
struct Joined {
  Profile profile;
  std::optional<ProfileKeys> keys;
};
tl::expected<Joined, Failure> join_profile(const Line& line, std::string_view name,
                                           const std::optional<kn1::Secret>& seed);
/// Why a text is no line, and what to do.
Failure failure_of(LineFault fault);
/// What a profile of this line is called: the first label of its first host, an address with - for dots and colons.
std::string profile_name(const Line& line);
/// 1 to 31 of a to z, 0 to 9 and -, no - first.
bool is_profile_name(std::string_view name);

/// The one that `host` is the name of; else the one that has it in `hosts`, or in `at` of a door. Case does not count.
/// Errors (usage): none, two of them.
tl::expected<const Profile*, Failure> find_profile(std::span<const Profile> profiles, std::string_view host);
/// The first door that opens `port`, one that opens any port last. `host`: as typed. Where doors lead to it (`at`), those
/// alone count; else those that lead nowhere else come first: a router guards what is in `at` beside its own ports.
/// Errors (usage): none.
tl::expected<const LineDoor*, Failure> find_door(const Profile& profile, std::string_view host, Port port);
/// Of that name; empty: the only one. Errors (usage): none, several.
tl::expected<const LineDoor*, Failure> find_door(const Profile& profile, std::string_view name);
/// "ssh (tcp/22)"
std::string to_string(const LineDoor& door);

} // namespace knock
