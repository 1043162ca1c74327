// SPDX-License-Identifier: GPL-2.0-or-later
/// Line: "KNOCKGATE:...", what a router gives a device to join with, and the answer of a device with a key of its own.
///
/// In:      text that was pasted.   Out: what it says; encode makes the text.
/// Memory:  keys are overwritten when they leave scope. The text holds them, too: its owner overwrites it.
/// Time:    none; ends are seconds since 1970.
/// Source:  knockgate-kn1(7), LINES; RFC 4648, 6 (base32).
///
///   line     "KNOCKGATE:" base32 of: 1, kind, fields, the first 4 bytes of BLAKE2b-256 of all that
///   field    tag (1 byte), length (1), value
///   answer   "KNOCKGATE:" base32 of: 1, 'K', kid (8), public key (32), BLAKE2b-128 by the device's secret (16)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/kn1.hpp>
#include <knock/port.hpp>
#include <knock/time.hpp>
#include <tl/expected.hpp>

namespace knock {

enum class LineKind : char {
  invite = 'A', ///< opens nothing before the device's own key is back
  psk = 'P',    ///< the key itself, as the next two
  rotating = 'R',
  knock = 'S', ///< of a door, for everybody
  password = 'W',
};

inline constexpr std::size_t kQrLine = 468; // characters: QR 11-L of capitals and digits, 69 columns
// characters: a terminal hands over no more in one line (n_tty(4), canonical mode)
inline constexpr std::size_t kMaxLine = 4'095;

/// A door as its client sees it: "ssh tcp/22 for=30s".
struct LineDoor {
  std::string name;
  std::vector<PortRange> ports; ///< none: it opens no port
  bool any = false;             ///< every guarded port
  std::optional<Millis> open_for;
  std::optional<Millis> max;
  bool cut = false;
  bool uses = false;
  bool run = false;
  std::uint16_t args = 0;         ///< bytes that `run` takes
  std::vector<std::string> at;    ///< hosts behind the router that it leads to
  std::vector<std::string> knock; ///< steps as in knockgate.toml
  bool operator==(const LineDoor&) const = default;
};

struct LineDevice {
  kn1::Kid kid;
  kn1::Secret secret;
  bool operator==(const LineDevice&) const = default;
};

struct Line {
  LineKind kind = LineKind::invite;
  std::vector<std::string> hosts;
  std::vector<std::string> ports;   ///< "udp/17022", "icmp"
  std::vector<kn1::Server> servers; ///< the first is the one to use
  std::optional<LineDevice> device;
  std::optional<kn1::Secret> rotating; ///< K
  std::string name;                    ///< "alice/laptop"
  std::vector<LineDoor> doors;
  std::optional<std::uint64_t> claim; ///< until then the answer is taken
  std::optional<std::uint64_t> until;
  bool counter = false; ///< the device has no clock
  bool bound = false;   ///< the router takes no unbound packet of it
  bool for_src = false;
  bool operator==(const Line&) const = default;
};

/// Why a text is no line, to be shown.
enum class LineFault : std::uint8_t {
  no_line, ///< no KNOCKGATE: in front, a character or a length that base32 does not have, too long
  damaged, ///< the sum is wrong: cut, or mistyped
  answer,  ///< an answer, which is for the router
  newer,   ///< a version, kind, field or word that this program does not know
  unfit,   ///< a field too few, too many, of another kind of line, or wrong in itself
};

/// Any case; blanks and ends of lines are dropped.
tl::expected<Line, LineFault> parse_line(std::string_view text);

/// Returns nothing for what would not be read as the same: beyond a limit, or no line at all.
std::optional<std::string> encode(const Line& line);

/// The public key of a device, on its way back. No secret.
struct LineAnswer {
  kn1::Kid kid;
  kn1::Public key{}; ///< Ed25519
  std::array<std::uint8_t, 16> check{};
  bool operator==(const LineAnswer&) const = default;
};

LineAnswer make_answer(const LineDevice& device, const kn1::Public& key);
/// Whether who made it holds the device's secret. A mistyped one does not fit.
bool fits(const LineAnswer& answer, const LineDevice& device);
std::string encode(const LineAnswer& answer);
/// Returns nothing if it is another line, or none. Its check is for `fits`.
std::optional<LineAnswer> parse_answer(std::string_view text);

} // namespace knock
