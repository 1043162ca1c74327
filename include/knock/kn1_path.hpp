// SPDX-License-Identifier: GPL-2.0-or-later
/// Kn1Path: the way of a signed packet through the engine, the cheap tests first, up to what was sealed in it.
///
///   length -> unmask, kid known -> mac1 -> window, stamp not seen -> the device's budget -> DH, seal -> Kn1Record
///
/// In:      packets of strangers; the keys; which stamps were accepted, as the keeper wrote them.
/// Out:     a record that proves nothing yet (the keeper does), or the reason why there is none, counted.
/// Memory:  one entry a key and a MAC key for each server key; nothing is allocated per packet.
/// Threads: one.
/// Time:    passed in. Junk costs one hash for each server key, whatever its size and however many devices there are.
/// Source:  knockgate-kn1(7), order of acceptance.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include <knock/kn1_keys.hpp>
#include <knock/packet.hpp>
#include <knock/record.hpp>

namespace knock {

/// What became of a signed packet in the engine.
enum class Kn1Fate : std::uint8_t {
  opened, ///< a record went to the keeper
  length, ///< of no signed packet
  kid,    ///< no device of ours: junk, a removed one, another router's
  mac,    ///< not by who holds its secret
  age,    ///< its clock is slow, or it is old
  ahead,  ///< its clock is fast
  replay, ///< accepted before
  floor,  ///< not newer than what is closed or was forgotten
  limit,  ///< of a device that sends too many
  seal,   ///< another password, or damaged
};
inline constexpr std::size_t kKn1Fates = 10;
std::string_view to_string(Kn1Fate fate);

/// A device's packet that was refused, for who asks why.
struct Kn1Refusal {
  kn1::Kid kid;
  Kn1Fate fate = Kn1Fate::kid;
  Stamp stamp = 0;
  Address source;
};

class Kn1Path {
 public:
  /// The accepted stamps in this slot; nothing: not known.
  using LineOf = std::function<std::optional<StampLine>(std::uint32_t slot)>;
  /// Openings of a device: `rate` a second, twice that at once.
  struct Pace {
    double rate = 10;
  };

  /// What was spent of their budgets stays with the devices.
  void follow(Kn1Keys keys, LineOf line_of);
  void set_pace(Pace pace) { pace_ = pace; }
  /// Whether signed packets come in such packets.
  [[nodiscard]] bool takes(const Packet& packet) const;

  /// `wall`: CLOCK_REALTIME. Appends the record of an opened one to `out`.
  Kn1Fate read(const Packet& packet, Instant now, Stamp wall, std::vector<Kn1Record>& out);
  /// The last refusal behind mac1, once.
  std::optional<Kn1Refusal> take_refusal() { return std::exchange(refusal_, std::nullopt); }

 private:
  struct Device {
    Kn1Keys::Device key;
    std::array<kn1::MacKey, kMaxServerKeys> macs{};
    double tokens = 0;
    Instant filled{};
  };
  [[nodiscard]] Device* find(const kn1::Kid& kid);
  [[nodiscard]] Kn1Fate judge(const Device& device, Stamp stamp, Stamp wall) const;
  bool take_token(Device& device, Instant now) const;

  Kn1Keys keys_; // without its devices
  std::vector<Device> devices_;
  std::vector<std::uint32_t> places_; // by kid: 1 + index in devices_; 0: free. A power of 2, half of it free
  LineOf line_of_;
  Pace pace_;
  std::optional<Kn1Refusal> refusal_;
};

} // namespace knock
