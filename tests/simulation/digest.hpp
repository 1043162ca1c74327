// SPDX-License-Identifier: GPL-2.0-or-later
/// Digest: a hash of all that a keeper did and said, to see that the same history gives the same.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/keeper/round.hpp"

namespace knock::simulation {

class Digest {
 public:
  void add(const keeper::Steps& steps);
  void add(const keeper::Said& said);
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  void add(std::uint64_t number) { hash_ = (hash_ ^ number) * 0x100000001b3ULL + (hash_ >> 29U); }
  void add(std::string_view text);
  void add(const GrantKey& key);
  void add(const Batch& batch);
  void add(const StaticSets& sets);

  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

} // namespace knock::simulation
