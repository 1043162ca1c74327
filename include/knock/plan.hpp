// SPDX-License-Identifier: GPL-2.0-or-later
/// Plan: what shall become of grants: the kernel changes to commit, and what is true once they are acked.
///
/// Out of the ledger, which makes it, and back into it when the kernel took the batch.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <knock/elements.hpp>

namespace knock {

/// One audit line to be.
struct LedgerEvent {
  enum class Verb : std::uint8_t { open, extend, close, expire, refused };
  Verb verb = Verb::open;
  OpenGrant grant;
  std::string reason; ///< close, expire: after idle disconnect uses max share hand ...; refused: which limit
  Traffic traffic{};  ///< of all its elements, as last seen
};

/// What shall become true. Commit `batch`; when the kernel acked it, `accept` the plan, else drop it.
struct Plan {
  Batch batch;
  std::vector<LedgerEvent> events;
  std::vector<OpenGrant> after;      ///< grants as they are then
  std::vector<std::uint64_t> closed; ///< grants that are gone then
  bool unread = false;               ///< the counters of its elements could not be read
  [[nodiscard]] bool empty() const { return batch.empty() && after.empty() && closed.empty(); }
};

/// What a plan that was accepted replaced; nothing: there was none.
struct Undo {
  std::vector<std::pair<std::uint64_t, std::optional<OpenGrant>>> grants;
  std::vector<std::pair<GrantKey, std::optional<HeldElement>>> elements;
};

/// Which grants a close means. Empty fields match everything.
struct CloseWhich {
  std::optional<std::uint64_t> id{};
  std::optional<std::string> door{};
  std::optional<Address> source{}; ///< let in by it
  std::optional<std::string> by{}; ///< user/device
  std::optional<GrantKey> key{};   ///< holders of this element
  std::set<std::uint64_t> ids{};   ///< many, in one plan
  std::uint16_t source_port = 0;   ///< of the one connection that goes on; 0: any
};

} // namespace knock
