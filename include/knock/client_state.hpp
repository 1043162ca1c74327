// SPDX-License-Identifier: GPL-2.0-or-later
/// ClientState: NAME.state, what all processes of one profile share: the last stamp, and what was knocked at.
///
/// In:     its text, read and written under one lock.   Out: values; the next stamp.
/// Time:   by the wall, nanoseconds since 1970.
/// Source: knockgate-kn1(7), STAMPS OF A CLIENT.
///
///   knockgate 1
///   stamp 01795508321000000000            20 digits, always: a write over it changes one line
///   opened 1                              whether anything ever opened
///   knock ssh 203.0.113.1 192.168.0.7 198.51.100.7 bound 1795508321000000000 1795508351000000000 open
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/address.hpp>

namespace knock {

using Wall = std::chrono::nanoseconds; ///< since 1970

/// A door, at one address of its router from one of ours.
struct KnockedWay {
  std::string door;
  Address router;
  Address source;  ///< of ours: the local one
  Address granted; ///< who gets in: the same, unless packets name another
  bool operator==(const KnockedWay&) const = default;
};

struct Knocked {
  KnockedWay way;
  bool bound = false;
  Wall at{};    ///< the last knock
  Wall until{}; ///< when the router ends it, as far as the client knows
  enum class Seen : std::uint8_t { sent, open } seen = Seen::sent;
  bool operator==(const Knocked&) const = default;
};

struct ClientState {
  std::uint64_t stamp = 0; ///< the last
  bool ever_opened = false;
  std::vector<Knocked> knocked; ///< at most kMaxKnocked, the latest last; one for each way
  bool operator==(const ClientState&) const = default;
};
inline constexpr std::size_t kMaxKnocked = 64;
inline constexpr std::size_t kMaxClientState = 16'384; // bytes of its text

/// Returns nothing for what `encode` does not write.
std::optional<ClientState> parse_client_state(std::string_view text);
std::string encode(const ClientState& state);

/// max(now, last + 1), but `now` where the last is 120 s ahead or more: the clock was wrong then. With `counter` last + 1.
/// The state has it as its last one then.
std::uint64_t next_stamp(ClientState& state, Wall now, bool counter);

/// Takes it in, in place of the former one of that way: what that one opened stays open as long. Forgets what ended before
/// `knocked.at`.
void note(ClientState& state, Knocked knocked);
/// It was seen to stand open: marks what is noted of that way and not over. A door that others opened is not noted.
void note_open(ClientState& state, const KnockedWay& way, Wall now);
/// The last knock of that way, if it was within `age` before `now` and not ahead of it.
const Knocked* knocked_within(const ClientState& state, const KnockedWay& way, Wall now, Wall age);
/// Drops what was opened that way.
void forget(ClientState& state, const KnockedWay& way);
/// So long it stays open still, by a clock that may have been set back since.
Wall left_of(const Knocked& knocked, Wall now);

} // namespace knock
