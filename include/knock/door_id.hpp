// SPDX-License-Identifier: GPL-2.0-or-later
/// DoorId: what a door is called between engine and keeper. Signed packets call it kn1::WireId.
#pragma once

#include <cstdint>
#include <string_view>

namespace knock {

/// 64-bit FNV-1a of a door's name: the same over reloads and restarts.
enum class DoorId : std::uint64_t {};

constexpr DoorId door_id(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  return DoorId{hash};
}

} // namespace knock
