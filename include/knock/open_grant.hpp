// SPDX-License-Identifier: GPL-2.0-or-later
/// OpenGrant: one owner's way in: who, through which door, to what, until when, and what ends it.
///
/// In:      a GrantRequest, or the elements a kernel holds.   Out: the keys of its elements, their comment.
/// Time:    passed in.
///
/// One grant = one owner (door, source, by, via), however many elements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/address.hpp>
#include <knock/batch.hpp>
#include <knock/config.hpp>
#include <knock/time.hpp>

namespace knock {

enum class Via : std::uint8_t { knock, kn1, hand, session, fleet, foreign };
std::string_view to_string(Via via);

/// How sure a signed packet was of the address that it opens for.
struct Bound {
  enum class How : std::uint8_t { no, yes, other };
  How how = How::no;
  Address from; ///< other: where the packet came from
  bool operator==(const Bound&) const = default;
};

/// What of a door's promise a grant carries along, also over a reload that changes the door.
struct Terms {
  Close close = Close::after;
  Millis idle{};           ///< on_idle
  Millis linger{};         ///< on_disconnect
  bool says_close = false; ///< the door has a run_close
  bool operator==(const Terms&) const = default;
};

/// Where one outer port leads, for the source's family.
struct Lead {
  Port outer;
  Target target;
  auto operator<=>(const Lead&) const = default;
};

struct GrantRequest {
  std::string door;
  Address source;
  std::uint8_t prefix = 128;     ///< leading bits of `source` that count: 24, 64, or all of them
  std::vector<Port> ports;       ///< sorted; outer ports of `leads` among them
  std::vector<PortRange> ranges; ///< sorted, apart
  std::vector<Lead> leads;
  std::string by = "-";
  Via via = Via::knock;
  std::optional<Bound> bound{}; ///< Via::kn1
  std::string key{};            ///< Via::kn1: tag_of the key that asks
  bool old_key = false;         ///< which is one before a rotation
  Millis open_for{};
  Millis max{};
  std::uint32_t uses = 0;                  ///< connections; 0: any number
  std::uint16_t source_port = 0;           ///< Via::session: of the one connection that goes on
  std::uint32_t share = ~std::uint32_t{0}; ///< how many grants the door may have open
  Terms terms{};
};

struct OpenGrant {
  std::uint64_t id = 0;
  std::string door; ///< a foreign element: "foreign"
  Address source;   ///< the first address of a prefix
  GrantSet set = GrantSet::open;
  std::vector<Port> ports;       ///< sorted
  std::vector<PortRange> ranges; ///< sorted; an element each, in a set of their own
  std::vector<Lead> leads;
  std::string by = "-"; ///< user/device
  Via via = Via::knock;
  Instant opened{};
  Instant ends{};
  Instant cap{}; ///< nothing extends beyond
  Terms terms{};
  std::uint32_t uses_left = 0;     ///< of a `uses` grant: connections to come
  Instant closes = Instant::max(); ///< without a use left: when it is closed, as far as known
  std::uint16_t source_port = 0;   ///< of a `session` grant
  Instant arrive{};                ///< on_disconnect: until then a connection is awaited
  bool used = false;               ///< on_disconnect, `uses`: there was a connection
  bool connected = false;          ///< on_disconnect: there is one
  Instant parted{};                ///< on_disconnect: when the last one ended
  Traffic marked{};                ///< on_idle: what had passed when it was last extended
  bool adopted = false;            ///< found in the kernel at start
  std::optional<Bound> bound{};    ///< Via::kn1, as it was opened or extended last; not kept over a restart
  std::string key{};               ///< Via::kn1: tag_of the key, without which it ends; empty: not known
  bool operator==(const OpenGrant&) const = default;
};

/// 24 or 64 for a prefix, else the whole address.
std::uint8_t prefix_of(const OpenGrant& grant);
/// "tcp/22", "udp/60000-61000"; of a grant that opens no port none.
std::vector<std::string> port_texts(const OpenGrant& grant);
/// "203.0.113.9", "203.0.113.0/24".
std::string source_text(const OpenGrant& grant);
bool lets_in(const OpenGrant& grant, const Address& source);
bool holds(const OpenGrant& grant, Port port);
bool holds(const OpenGrant& grant, const GrantKey& key);
bool on_disconnect(const OpenGrant& grant);
/// Whether it lets in so many connections, and all have come.
bool is_spent(const OpenGrant& grant);
const Target* target_of(const OpenGrant& grant, Port port);
/// The keys of its elements, those of the forward maps behind the others.
std::vector<GrantKey> keys_of(const OpenGrant& grant);

/// Of a device's key, to tell it from its others: 6 hexadecimal digits.
std::string tag_of(const kn1::Kid& kid);

/// `DOOR BY VIA OPENED CAP`, BY of Via::kn1 with `@TAG` of the key if 128 bytes have room for it, the times in seconds of
/// CLOCK_MONOTONIC; of a `uses` grant ` USES` behind it: what is left of it is this less what the element counted.
std::string comment_of(const OpenGrant& grant);
/// What a comment says, as a grant without ports. Returns nothing for one we did not write.
std::optional<OpenGrant> parse_comment(std::string_view comment);

/// What a door gives to a source by a knock; no port when it leads nowhere for this family.
GrantRequest request_for(const Door& door, const Address& source);
/// How grants of an enabled door end; of any other, after their time.
Terms terms_of(const Config& config, std::string_view door);
/// The grant that `request` asks for: new, or `old` with more ports, a later end and all uses again.
OpenGrant wished(const GrantRequest& request, const OpenGrant* old, Instant now);
bool is_owner(const OpenGrant& grant, const GrantRequest& request);

} // namespace knock
