// SPDX-License-Identifier: GPL-2.0-or-later
/// StolenKeys: what a stranger makes of signed packets who has the engine: he reads its keys and opens what comes.
///
///   act 1030   the packet that came last, as an honest engine tells of it
///   act 1031   with each byte of the request and its signature another
///   act 1032   with other stamps, ephemeral keys, devices and server keys
///   act 1033   from other sources
///   act 1034   for other doors
///   act 1035   of other sizes
///   act 1036   made from nothing: unsigned, signed by points of small order, signed by a key of his own
#pragma once

#include <vector>

#include <knock/kn1_keys.hpp>
#include <knock/packet.hpp>
#include <knock/record.hpp>

namespace knock::engine {

class StolenKeys {
 public:
  void take(std::span<const std::byte> image);
  /// Keeps a packet that it can open, and tells nobody.
  bool capture(const Packet& packet);
  /// Nothing for another act, and before a packet came.
  [[nodiscard]] std::vector<Kn1Record> records(unsigned act) const;

 private:
  Kn1Keys keys_;
  std::optional<Kn1Record> last_;
};

} // namespace knock::engine
