// SPDX-License-Identifier: GPL-2.0-or-later
/// Config: what the admin wrote, checked; no file is opened here.
/// In:     the texts of knockgate.toml, doors.d/*.toml, users.d/*.toml in reading order.
/// Out:    a Config with every default filled in, or the findings that say why not.
/// Source: the grammar is knockgate.toml(5).
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/address.hpp>
#include <knock/config_text.hpp>
#include <knock/door_id.hpp>
#include <knock/findings.hpp>
#include <knock/port.hpp>
#include <knock/step.hpp>
#include <knock/time.hpp>

namespace knock {

enum class Mode : std::uint8_t { gate, embed };
enum class LogLevel : std::uint8_t { error, warn, info, debug };

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

struct Door {
  std::string name;
  DoorId id{};
  Place place;
  bool enabled = true;
  std::vector<Port> opens;       ///< sorted, unique
  std::vector<PortRange> ranges; ///< sorted; two doors' have the same piece, or no port in common
  std::vector<Forward> forwards; ///< sorted by outer port, none of which is in `opens`
  bool any = false;        ///< opens = ["any"]: both hold those of all other enabled doors, once all are read
  std::vector<Step> knock; ///< the steps in order; empty: opened by hand only
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
};

struct Config {
  struct {
    std::string socket = "/run/knockgate/control.sock";
    std::string write_group; ///< empty: root only
    Place write_group_place;
    std::string state; ///< empty: $STATE_DIRECTORY, else /var/lib/knockgate
  } control;
  struct {
    std::uint16_t group = 40; ///< the first of four
    std::uint32_t buffer_bytes = 8U << 20U;
  } nflog;
  struct {
    Mode mode = Mode::gate;
    std::string table = "knockgate";                                   ///< name inside family inet
    std::string boot_file = "/etc/knockgate/nftables.d/knockgate.nft"; ///< empty: none
  } nft;
  struct {
    std::vector<std::string> trust_interfaces;
    std::vector<Prefix> trust_prefixes;
    std::vector<Prefix> also; ///< hosts behind the router, reached without NAT, that are guarded too
    bool reset = false;       ///< answer = "reset": a guarded port answers like a closed one
    std::uint32_t mark = 0;   ///< 0: none, else one bit
  } gate;
  struct {
    std::uint32_t attempts = 524'288;
    std::uint32_t grants = 65'536;
    std::uint32_t per_source = 16;
    Millis cooloff{30'000};
  } limits;
  struct {
    Millis time{10'000};
  } runner;
  struct {
    std::vector<std::string> accept; ///< names of findings that are meant so
  } check;
  LogLevel log_level = LogLevel::info;
  std::vector<Door> doors; ///< in reading order, disabled ones too
  std::string hash;        ///< of all texts it was read from, hexadecimal
};

/// Whether a port is one of `opens` or in a range; all of these ports, sorted.
bool opens(const Door& door, Port port);
std::vector<Port> opened_by(const Door& door);

/// `written`, as in [gate] trust: the name of an interface, or with a star the beginning of names ("wg*").
bool names_interface(std::string_view written, std::string_view interface);
bool trusts_interface(const Config& config, std::string_view interface);

/// Nothing when there is none of that name, or it is disabled.
const Door* enabled_door(const Config& config, std::string_view name);
std::size_t count_enabled(const Config& config);

struct ParsedConfig {
  std::optional<Config> config;          ///< absent when any finding is an error
  std::vector<Finding> findings;         ///< errors first found first, else lint warnings
  std::vector<std::string> secret_files; ///< those that hold a sequence: nobody else may read them
  std::string state;                     ///< [control] state, also where another finding is an error
  std::vector<ConfigText> texts{};       ///< all that was read
};

/// Parses and checks all texts together: names are unique over all of them.
/// With a `seed` nobody can guess, advice on a missing or weak knock holds a ready line.
ParsedConfig parse_config(std::span<const ConfigText> texts, std::optional<std::uint64_t> seed = {});

using PortNumbers = std::bitset<65'536>;

/// Four ports for a sequence: tcp and udp, in no order, none well known or `taken`. Equal seeds, equal ports.
std::vector<Port> propose_knock(std::uint64_t seed, const PortNumbers& taken);

/// "500ms" "10s" "5m" "2h" "7d"; nothing else.
std::optional<Millis> parse_duration(std::string_view text);

} // namespace knock
