// SPDX-License-Identifier: GPL-2.0-or-later
/// Match: whether a packet fits what a rule compares. Of this room alone.
///
/// An ordinary source is one that no rule names: a set of addresses holds it only if it holds most of them.
/// Errors: what is not understood is Answer::unjudged.
/// Source: libnftables-json(5): expressions.
#pragma once

#include <array>

#include "host/firewall.hpp"

namespace knock::host {

enum class Field : std::uint8_t {
  family,
  protocol,
  source,
  destination,
  source_port,
  port,
  in,
  out,
  state,
  state_or_nat, ///< of iptables, where a translated connection has one state more
  status,
  mark,
  flags,
  icmp_type,
  destination_type,
  source_type,
  route,
  zero,     ///< what an ordinary first packet has as 0 or not at all: a fragment, a mark of its connection
  open,     ///< understood, and different from packet to packet: a time, a TTL
  unjudged, ///< not understood; the last
};

inline constexpr std::uint32_t kEchoRequest = 8; ///< as a value of icmp_type, over either family

/// Compares like what it holds: a number or an address stands at its end, a name at its beginning.
using Word = std::array<std::uint8_t, 16>;
struct Interval {
  Word first{}, last{};
};
using Words = std::vector<Interval>;
Interval interval_of(std::uint64_t number);
Interval interval_of(std::string_view name);
Interval interval_of(const Prefix& prefix);
/// A value, prefix or range as the values of `field` are written.
std::optional<Interval> read_value(Field field, const nlohmann::json& value);

/// What an expression reads.
struct Asked {
  Field field = Field::unjudged;
  std::string_view what;
  std::uint8_t family = 0, protocol = 0; ///< of the header that it looks into; 0: any
  std::optional<Word> mask{};
};
/// One, or those of a concatenation.
std::vector<Asked> read_asked(const nlohmann::json& left);

class Judge {
 public:
  /// Of what `base` and the chains that it leads to ask.
  Judge(const Packet& packet, const Firewall& firewall, const Chain& base);

  /// Of `{"op": OP, "left": ..., "right": ...}` in a rule of `chain`.
  [[nodiscard]] Answer judge(const nlohmann::json& match, const Chain& chain) const;
  /// Of a map's key, one of whose values is `value`.
  [[nodiscard]] Answer judge(const std::vector<Asked>& asked, const nlohmann::json& value) const;
  /// What `right` holds: the elements of a set, or itself. Null when it is in a set that was not read.
  [[nodiscard]] const nlohmann::json* values_in(const nlohmann::json& right, const Chain& chain) const;

 private:
  [[nodiscard]] Answer judge_list(const std::vector<Asked>& asked, std::string_view op,
                                  const nlohmann::json& values) const;
  [[nodiscard]] bool fits(const Asked& asked) const;

  const Packet& packet_;
  const Firewall& firewall_;
  std::array<Words, static_cast<std::size_t>(Field::unjudged)> held_; // by field; empty: anything
};

} // namespace knock::host
