// SPDX-License-Identifier: GPL-2.0-or-later
/// Flow: a connection that the kernel tracks, as its client sees it: before DNAT.
///
/// A TCP flow ends when it is closed, not when the kernel forgets it 120 s later.
#pragma once

#include <compare>
#include <cstdint>

#include <knock/address.hpp>
#include <knock/port.hpp>

namespace knock {

struct Flow {
  Address source;
  std::uint16_t source_port = 0;
  Address destination;
  Port port;              ///< of the destination; tcp or udp
  std::uint32_t id = 0;   ///< CTA_ID: another flow between the same ends has another
  std::uint16_t zone = 0; ///< of its first direction; 0 unless a rule sets zones
  auto operator<=>(const Flow&) const = default;
};

struct FlowEvent {
  enum class Kind : std::uint8_t { begun, answered, ended };
  Kind kind = Kind::begun;
  Flow flow;
  bool operator==(const FlowEvent&) const = default;
};

} // namespace knock
