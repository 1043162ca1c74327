// SPDX-License-Identifier: GPL-2.0-or-later
/// Book: the open grants, found by id, source, end, and by what ends them.
///
/// Memory:  one entry a grant in each index that it belongs to.
/// Threads: one.
/// A pointer to a grant is valid until this grant is erased.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <knock/plan.hpp>

namespace knock {

using Grants = std::vector<const OpenGrant*>;

class Book {
 public:
  /// Nothing: there is no such grant any more.
  void replace(std::uint64_t id, std::optional<OpenGrant> grant);
  [[nodiscard]] const std::map<std::uint64_t, OpenGrant>& grants() const { return grants_; }
  /// Also of grants that are closed.
  [[nodiscard]] std::uint64_t last_id() const { return last_id_; }
  /// Null: there is none.
  [[nodiscard]] const OpenGrant* find(std::uint64_t id) const;
  template<class Ids>
  [[nodiscard]] Grants find_all(const Ids& ids) const {
    Grants found;
    for (const auto id : ids)
      if (const auto* grant = find(id)) found.push_back(grant);
    return found;
  }

  /// Of just this address or prefix; of the IPv6 /64 that begins there, too.
  [[nodiscard]] Grants of_source(const Address& source) const;
  [[nodiscard]] Grants of_subnet(const Address& subnet) const;
  /// Of a user's device: "alice/laptop".
  [[nodiscard]] Grants of_device(const std::string& label) const;
  /// Those that end behind `from`, and not behind `until`.
  [[nodiscard]] Grants ending(Instant from, Instant until) const;
  [[nodiscard]] std::optional<Instant> next_end(Instant behind = Instant::min()) const;

  /// Of on-idle, the shortest time first.
  [[nodiscard]] Grants idling() const { return found(by_idle_.begin(), by_idle_.end()); }
  /// Nothing when there is none.
  [[nodiscard]] std::optional<Millis> shortest_idle() const;
  /// Of ours without a use left, those to be closed in this time; when the next one is, if that is known.
  [[nodiscard]] Grants closing(Instant from, Instant until) const;
  [[nodiscard]] std::optional<Instant> next_close() const;
  /// Of on-disconnect, those with a connection.
  [[nodiscard]] const std::set<std::uint64_t>& connected() const { return connected_; }
  /// Connections that are older than the guard.
  [[nodiscard]] const std::set<std::uint64_t>& sessions() const { return sessions_; }
  /// Those that have to know of connections: on-disconnect, and of uses.
  [[nodiscard]] const std::set<std::uint64_t>& watching() const { return watching_; }

 private:
  /// Of an index.
  template<class At>
  [[nodiscard]] Grants found(At at, At end) const {
    Grants found;
    for (; at != end; ++at) found.push_back(&grants_.at(at->second));
    return found;
  }
  void index(const OpenGrant& grant, bool is_there);

  std::map<std::uint64_t, OpenGrant> grants_; // by id
  std::uint64_t last_id_ = 0;
  std::set<std::pair<Address, std::uint64_t>> by_source_;
  std::set<std::pair<std::string, std::uint64_t>> by_device_; // of those that are one's
  std::set<std::pair<Instant, std::uint64_t>> by_end_;
  std::set<std::pair<Millis, std::uint64_t>> by_idle_;   // on_idle only
  std::set<std::pair<Instant, std::uint64_t>> by_close_; // without a use left
  std::set<std::uint64_t> watching_;
  std::set<std::uint64_t> sessions_;
  std::set<std::uint64_t> connected_;
};

/// By which `source` may reach `port`: its own, and those of the prefix around it.
Grants letting_in(const Book& book, const Address& source, Port port);
/// Whether a connection of `source` to `port` means anything to a grant.
bool watches(const Book& book, const Address& source, Port port);
Grants matching(const Book& book, const CloseWhich& which);
/// Who keeps an element longest; null: none of them holds it, or has a use left.
const OpenGrant* latest(const Grants& grants, const GrantKey& key);

} // namespace knock
