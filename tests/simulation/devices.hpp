// SPDX-License-Identifier: GPL-2.0-or-later
/// Devices: who sends signed packets in the histories: their keys, the files of users.d as they may be, their packets.
///
/// In:      what a packet asks for, its stamp.   Out: the record that an honest engine makes of it.
/// Threads: one; what was parsed once is kept.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <knock/config.hpp>
#include <knock/kn1_client.hpp>
#include <knock/record.hpp>

namespace knock::simulation {

inline constexpr std::uint32_t kDevices = 4;
inline constexpr std::uint32_t kUserFiles = 11; ///< ways in which users.d may be

struct Sender {
  std::string_view label;
  kn1::Device keys;
  bool counter = false; ///< it has no clock
};
const Sender& sender(std::uint32_t at);
/// Each has an address of its own.
const Address& home_of(std::uint32_t device);

/// What one packet says.
struct Asks {
  std::string_view door;
  kn1::Op op = kn1::Op::open;
  std::optional<Address> src{}; ///< it is bound to
  Seconds ttl{};
};
Kn1Record sealed(const Sender& sender, const Asks& asks, std::uint64_t stamp, const Address& from);

/// The files: config `config` of configs(), most of its doors taking signed packets, and users.d in one of its ways.
std::shared_ptr<const ParsedConfig> files(bool embed, std::uint32_t config, std::uint32_t users);

} // namespace knock::simulation
