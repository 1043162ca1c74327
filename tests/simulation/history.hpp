// SPDX-License-Identifier: GPL-2.0-or-later
/// History: what happens to one keeper, drawn by one seed: a value, so that any part of it can be left out.
///
/// In:      a seed.   Out: the same events on every machine; a readable line for each.
/// An event names things by number, never by what happened before it: a shorter history stays a history.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "straw.hpp"

namespace knock::simulation {

/// splitmix64: small, and the same everywhere, which std's distributions are not.
struct Draw {
  std::uint64_t state;
  std::uint64_t next();
  /// 0 to `below` - 1.
  std::uint32_t below(std::uint32_t count) { return static_cast<std::uint32_t>(next() % count); }
  bool one_in(std::uint32_t count) { return below(count) == 0; }
};

struct Event {
  enum class Kind : std::uint8_t {
    pass,     ///< a ms; rounds run when they are due
    stall,    ///< a ms in which no round runs
    knock,    ///< at door a by source b
    closing,  ///< the closing knock of door a, which it may lack, by source b
    scan,     ///< source b is ignored as a scanner
    stranger, ///< a record that no honest engine sends: a which
    open,     ///< door a to source b, for c seconds; 0: as the door says
    close,    ///< a 0: door b, behind the last `foreign`; 1: the grant b; 2: all; of source c - 1
    reload,   ///< after the files became config a; b 0: plain, 1: --confirm c seconds, 2: --now
    edit,     ///< the files become config a, and nobody is told
    confirm,  ///< a 1: --anyway
    off,
    on, ///< typed a ms ago
    status,
    save,      ///< the boot file becomes what is guarded for good
    syn,       ///< source a, port b, source port c
    answer,    ///< of the connection a
    data,      ///< a packet of the connection a
    end,       ///< of the connection a
    disturb,   ///< Foreign: a kind, b pick, c element
    meanwhile, ///< the same in the middle of the next round, before step c
    off_alone, ///< root, without the daemon; a 0: now, else before step a - 1 of the next round; b 0: its file alone
    list,       ///< nft list ruleset > file
    lose,       ///< events of a 0: table, 1: connections, 2: both; among them: Foreign b - 1, pick c
    fail,       ///< the next step of kind a with the errno b
    fail_look,  ///< the next look at the kernel with the errno a
    disk_full,  ///< once
    deaf,       ///< the next listening
    kill,       ///< between two rounds
    kill_after, ///< a steps of the next list
    start,
    reboot,
    // only where `signs`
    packet, ///< of device a, at door b; c: Said
    again,  ///< the signed packet a before the last, from home of device b - 1; 0: from where it came
    forged, ///< a packet of device a, at door b, altered in the way c by an engine that turned
    users,  ///< users.d become a; b 1: and the daemon is told
    clock,  ///< the wall clock is set: a which
  };
  Kind kind = Kind::pass;
  bool wakes = true; ///< a round runs right behind it
  std::uint32_t a = 0, b = 0, c = 0;
};
/// "knock door=ssh source=203.0.113.9"
std::string to_string(const Event& event);

struct History {
  std::uint64_t seed = 0;
  std::uint32_t config = 0; ///< it begins with
  bool resizes = true;      ///< Straw::resizes
  bool embed = false;       ///< in the admin's own table
  bool signs = false;       ///< doors take signed packets, too
  std::vector<Event> events{};
};
History draw_history(std::uint64_t seed, std::size_t events);

inline constexpr std::uint32_t kClocks = 5; ///< what `clock` sets
inline constexpr std::array<std::string_view, 15> kDoors{"ssh",  "adm",  "idle", "disc", "uses",
                                                         "use2", "net",  "fwd",  "cut",  "run",
                                                         "bare", "long", "any",  "mosh", "rtp"};
/// What `knockctl close` may name.
inline std::string_view door_text(std::uint32_t at) {
  return at < kDoors.size() ? kDoors[at] : "foreign";
}
inline constexpr std::array kPorts{
    Port{Protocol::tcp, 22}, Port{Protocol::tcp, 443},  Port{Protocol::tcp, 25},   Port{Protocol::tcp, 993},
    Port{Protocol::udp, 53}, Port{Protocol::tcp, 8443}, Port{Protocol::tcp, 9090}, Port{Protocol::tcp, 2022}};
/// Two of a /24, another, two of a /64.
const std::vector<Address>& sources();
const Address& own_address();
/// What the files may say; one of them is no config.
const std::vector<std::shared_ptr<const ParsedConfig>>& configs(bool embed = false);
/// What a signed packet asks for, as Event::c says it.
struct PacketWords {
  std::uint32_t op = 0;   ///< 0: open, 1: refresh, 2: close
  int age = 0;            ///< seconds; its clock is behind by so many
  bool elsewhere = false; ///< it is bound to another address than its own
  bool unbound = false;
  std::uint32_t ttl = 0; ///< seconds; 0: as the door says
};
PacketWords packet_words(std::uint32_t drawn);
/// What `disturb` and `meanwhile` do.
Foreign foreign_of(const Event& event, Instant now);

} // namespace knock::simulation
