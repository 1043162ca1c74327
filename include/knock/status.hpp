// SPDX-License-Identifier: GPL-2.0-or-later
/// Status: what `knockctl status` shows, as one value.
///
/// In:     filled by the keeper, or read back from the daemon's JSON lines.
/// Out:    JSON (schema 1: keys are only ever added), or text as wide as the screen.
/// Units:  spans in milliseconds, moments in seconds of the epoch.
/// Source: knockctl(1).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knock {

struct StatusGuarded {
  std::string port;
  std::optional<std::int64_t> left_ms; ///< absent: confirmed
};

struct StatusGrant {
  std::uint64_t id = 0;
  std::string door, source;
  std::optional<unsigned>
      source_port; ///< of the one connection it is about: one that is older than the guard
  unsigned prefix = 32;
  std::vector<std::string> ports;
  std::map<std::string, std::string> forward; ///< outer port to target
  std::string by = "-", via;
  std::int64_t opened = 0;
  std::optional<std::int64_t> left_ms = 0, cap_ms = 0; ///< absent: it has no end, by another hand
  std::string close = "after";                         ///< after, on-idle, on-disconnect
  std::optional<std::uint32_t> uses_left;              ///< absent: any number of connections
  std::uint64_t packets = 0, bytes = 0;
  bool adopted = false;
  bool symmetric = false;      ///< who reads the router's files can knock so, too
  std::optional<bool> bound{}; ///< of a signed packet: whether it held the address; absent: not known
  bool connected = false;      ///< on-disconnect: a connection lives, `left_ms` is pushed on
};

/// Signed packets: who may send them, and whether the clock can judge them.
struct StatusKn1 {
  std::vector<std::string> ports;
  std::string clock = "unknown"; ///< good, unknown, behind
  std::size_t users = 0, devices = 0, symmetric = 0, unbound = 0, invited = 0;
  struct Key {
    std::string id;
    std::int64_t made = 0;
    std::optional<std::int64_t> until;
    std::size_t devices = 0; ///< that used it last
  };
  std::vector<Key> keys;
};

/// Connections that outlive the grant that let them in.
struct StatusConnections {
  std::string door, source;
  std::uint64_t count = 0;
};

struct StatusWarning {
  std::string code, text, run;
};

struct Status {
  std::string version, state = "idle", mode = "gate";
  std::int64_t uptime_ms = 0;
  std::int64_t off_since = 0; ///< when state is "off"
  struct {
    bool ok = true;
    std::size_t doors = 0;             ///< enabled ones
    std::vector<std::string> disabled; ///< names of the others
    std::int64_t read = 0;
    std::string error;
    std::string boot_file = "none";                    ///< ok, differs, missing, none
    std::optional<std::vector<std::string>> boot_by{}; ///< what loads it at boot; nothing: not looked
  } config;
  struct {
    std::vector<unsigned> groups; ///< empty: none bound
    std::uint64_t packets = 0, lost = 0, overruns = 0, buffer_bytes = 0;
  } nflog;
  struct {
    std::uint64_t slots = 0, attempts = 0, evicted = 0;
    bool overflow = false;
  } tracker;
  struct {
    std::string table;
    bool loaded = false;
    bool differs = false; ///< it is there, and not as it was loaded; embed: or lacks what embed.nft says
    std::vector<std::string> trust;
    std::uint64_t healed = 0;
    std::vector<StatusGuarded> guarded;
  } gate;
  std::optional<StatusKn1> kn1{}; ///< nothing: no door opens by signed packets
  std::uint64_t grant_limit = 0, open = 0;
  std::map<std::string, std::uint64_t> counters;
  std::vector<StatusGrant> grants;
  std::vector<StatusConnections> connections; ///< of doors with flows = "keep"; the daemon does not look
  std::vector<StatusWarning> warnings;
  bool findings_hidden = false; ///< the firewall's, which root alone may read, are not among the warnings
};

/// JSON lines, each at most kMaxReplyLine; grants, ports and doors beyond the first come in further lines.
std::vector<std::string> encode(const Status& status);
/// The same in one document, however long.
std::string to_json(const Status& status);
/// Adds one line to `status`. Returns false when it is none of ours.
bool parse_status(std::string_view line, Status& status);

struct Screen {
  std::size_t width = 80; ///< columns; a row is broken where it is longer
  bool colour = false;
  bool ids = false; ///< of grants, which `close` takes
};
/// The face of the product. `now`: seconds of the epoch, for "2 min ago".
std::string to_text(const Status& status, std::int64_t now, const Screen& screen = {});

/// "door", or "doors" where it is not one.
std::string noun(std::uint64_t count, std::string_view what);
/// "1 door", "12 doors"
std::string plural(std::uint64_t count, std::string_view what);
/// "28 s", "51 min", "3d 4h": at most two units, rounded down.
std::string span_text(std::int64_t ms);

} // namespace knock
