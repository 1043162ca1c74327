// SPDX-License-Identifier: GPL-2.0-or-later
/// Door: what is guarded, how it opens, and for how long; as the admin wrote it, every default filled in.
///
/// Source: knockgate.toml(5), DOORS.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/address.hpp>
#include <knock/door_id.hpp>
#include <knock/findings.hpp>
#include <knock/kn1.hpp>
#include <knock/port.hpp>
#include <knock/step.hpp>
#include <knock/time.hpp>

namespace knock {

/// What ends a grant before `max`: its time alone, no packet for a while, or the end of its connections.
enum class Close : std::uint8_t { after, on_idle, on_disconnect };
/// As in the config: "after", "on-idle", "on-disconnect".
std::string_view to_string(Close close);

/// A port of this router that leads to inner hosts, at most one a family.
struct Forward {
  Port outer;
  std::optional<Target> ipv4;
  std::optional<Target> ipv6;
  auto operator<=>(const Forward&) const = default;
};

inline constexpr std::string_view kForeignDoor =
    "foreign"; ///< what elements of another hand are listed under

struct Door {
  std::string name;
  DoorId id{};
  Place place;
  bool enabled = true;
  std::vector<Port> opens;       ///< sorted, unique
  std::vector<PortRange> ranges; ///< sorted; two doors' have the same piece, or no port in common
  std::vector<Forward> forwards; ///< sorted by outer port, none of which is in `opens`
  bool any = false;        ///< opens = ["any"]: both hold those of all other enabled doors, once all are read
  std::vector<Step> knock; ///< the steps in order, a repeat as often as it counts; empty: none
  std::vector<Step> close_knock; ///< ends the grants of the source that sends it; empty: none
  bool any_order = false;        ///< order = "any": of both
  Millis within{10'000};
  std::uint32_t strays = 12;
  Millis reorder{50};
  Millis open_for{30'000}; ///< `for`
  Millis max{86'400'000};
  Close close = Close::after;
  Millis idle{300'000};               ///< on_idle
  Millis linger{10'000};              ///< on_disconnect
  std::uint32_t uses = 0;             ///< connections it lets in; 0: any number
  std::uint32_t grants = 0;           ///< its share of `[limits] grants`, filled in when all are read
  bool cut = false;                   ///< flows = "cut": what is connected ends with the grant
  std::uint8_t prefix4 = 32;          ///< what a grant lets in: the knocking address, or all of its /24
  std::uint8_t prefix6 = 128;         ///< or of its /64
  std::vector<std::string> run;       ///< a command and its words; empty: none
  std::vector<std::string> run_close; ///< when a grant of this door ends; empty: none
  Millis cooldown{10'000};            ///< from one start of `run` to the next, of any source
  kn1::WireId wire{};                 ///< what signed packets call it
  bool kn1 = false;                   ///< opens by a signed packet
  std::uint32_t args = 0;             ///< bytes that a client may send to the stdin of `run`
  std::optional<std::vector<std::string>> users; ///< who may open it; absent: all that name it
};

/// Whether a port is one of `opens` or in a range; all of these ports, sorted.
bool opens(const Door& door, Port port);
std::vector<Port> opened_by(const Door& door);
/// Whether it opens the port, or forwards it.
bool guards(const Door& door, Port port);

} // namespace knock
