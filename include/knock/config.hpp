// SPDX-License-Identifier: GPL-2.0-or-later
/// Config: what the admin wrote, checked; no file is opened here.
/// In:     the texts of knockgate.toml, doors.d/*.toml, users.d/*.toml, kn1.key in reading order; what is asked of the
///         host (Outside).
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
#include <knock/door.hpp>
#include <knock/findings.hpp>
#include <knock/port.hpp>
#include <knock/time.hpp>
#include <knock/users.hpp>

namespace knock {

enum class Mode : std::uint8_t { gate, embed };
enum class LogLevel : std::uint8_t { error, warn, info, debug };

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
  struct {
    std::vector<Port> ports{{Protocol::udp, 17'022}}; ///< of UDP, sorted, unique
    bool icmp = false;                                ///< pings, too: requests and replies of both families
    std::vector<std::string> hosts;                   ///< for invites
    bool trust_clock = false;                         ///< clock = "trust": good from boot on
    std::string key = "/etc/knockgate/kn1.key";       ///< usually beside the main file
  } kn1;
  LogLevel log_level = LogLevel::info;
  std::vector<Door> doors;            ///< in reading order, disabled ones too
  std::vector<User> users;            ///< in reading order, disabled ones too
  std::vector<ServerKey> server_keys; ///< clients use the first
  std::string hash;       ///< of the texts but those of users.d and kn1.key, hexadecimal: what is guarded
  std::string users_hash; ///< of those
};

/// `written`, as in [gate] trust: the name of an interface, or with a star the beginning of names ("wg*").
bool names_interface(std::string_view written, std::string_view interface);
bool trusts_interface(const Config& config, std::string_view interface);

/// Nothing when there is none of that name, or it is disabled.
const Door* enabled_door(const Config& config, std::string_view name);
/// Whether any enabled door opens by signed packets: then `kn1` is reported.
bool takes_kn1(const Config& config);
std::size_t count_enabled(const Config& config);

/// What reading takes from outside of the texts.
struct Outside {
  std::optional<std::uint64_t>
      seed;                  ///< secret: with it the advice on a missing or weak knock holds a ready line
  std::optional<Moment> now; ///< absent: nothing is said of what ended
  Moment (*of_local)(LocalMoment) = nullptr; ///< by the time zone of this host; null: UTC
};

struct ParsedConfig {
  std::optional<Config> config;          ///< absent when any finding is an error
  std::vector<Finding> findings;         ///< errors first found first, else lint warnings
  std::vector<std::string> secret_files; ///< of sequences and keys: for their owner and group alone
  std::string state;                     ///< [control] state, also where another finding is an error
  std::string key{};                     ///< and [kn1] key
  std::vector<ConfigText> texts{};       ///< all that was read
  std::vector<std::string> closed{};     ///< files that could not be read, or may be read by others
  Outside outside{};                     ///< what it was read with
};

/// Parses and checks all texts together: names are unique over all of them.
ParsedConfig parse_config(std::span<const ConfigText> texts, const Outside& outside = {});
/// Doors and settings as they were `applied`, users and keys as they are on disk. A file of users.d that is bad counts
/// with the text that was applied, while it is there; its error is among the findings, and the config is there all the
/// same. Users that are gone from the disk are gone.
ParsedConfig parse_users_anew(std::span<const ConfigText> applied, const ParsedConfig& on_disk);

using PortNumbers = std::bitset<65'536>;

/// Whether a line may name it: a name or an address, no URL.
bool is_host(std::string_view text);
/// Four ports for a sequence: tcp and udp, in no order, none well known or `taken`. Equal seeds, equal ports.
std::vector<Port> propose_knock(std::uint64_t seed, const PortNumbers& taken);

/// "500ms" "10s" "5m" "2h" "7d"; nothing else.
std::optional<Millis> parse_duration(std::string_view text);

} // namespace knock
