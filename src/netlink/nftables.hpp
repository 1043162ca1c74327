// SPDX-License-Identifier: GPL-2.0-or-later
/// Nftables: elements of our sets, put, removed and read back; what a table is made of.
///
/// Threads: each handle belongs to one thread.
/// Errors:  in plain words with what to do; EPERM, ENOENT and ENFILE by name.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <knock/batch.hpp>

#include "netlink/socket.hpp"
#include "wire/nft_table.hpp"
#include "wire/nftables.hpp"

namespace knock::netlink {

/// Elements of our sets.
class Nftables {
 public:
  static Result<Nftables> open();

  /// How others see who committed (TableWatch).
  [[nodiscard]] std::uint32_t port_id() const { return socket_.port_id(); }
  /// All or nothing. Errors: ENOENT (table or set gone), ENFILE (set full), EPERM (no CAP_NET_ADMIN, or the
  /// table has another owner). `refused` then has the changes that the kernel named, some of them or none:
  /// the batch may be tried again without these.
  Result<void> commit(const Batch& batch, const std::string& table, std::vector<Refused>* refused = nullptr);
  /// Of a grant set all that stayed in it while it was read. The kernel sends a large hash set in parts and counts on by
  /// number: what it throws out between two parts (elements that ended, every gc-interval) or another size of the
  /// table makes it skip others, and no generation tells. So the set is listed until two listings agree, and what one
  /// lacks is asked for by its key. Errors: ENOENT when table or set is missing.
  Result<std::vector<wire::RawElement>> elements(const std::string& table, const std::string& set);
  /// Of these elements, which are of one set and family, the ones that are there. A dump of a large set takes
  /// quadratic time in the kernel (nft_rhash_walk begins anew for every 32 KiB); this does not.
  Result<std::vector<wire::RawElement>> find(const std::string& table, std::span<const GrantKey> keys);
  /// The rules of `inet table`, in order; none when there is no such table.
  Result<std::vector<wire::RuleInfo>> rules(const std::string& table);
  /// The chains of `inet table`, by name; none when there is no such table.
  Result<std::vector<wire::ChainInfo>> chains(const std::string& table);
  /// How many commits there were in this network namespace; all tables have one count.
  Result<std::uint32_t> generation();
  /// All of family inet.
  Result<std::vector<wire::TableInfo>> tables();
  /// `inet name`; handle 0 when there is no such table.
  Result<wire::TableInfo> table(const std::string& name);
  /// The sets of `inet table` by name; empty when there is no such table.
  Result<std::map<std::string, wire::SetInfo>> sets(const std::string& table);

 private:
  explicit Nftables(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<void> transact(const Batch& batch, const std::string& table, bool removals_there,
                        std::vector<Refused>* refused);
  /// Again while a change overtakes it. `collect(nullptr)`: it begins anew.
  template<class Collect>
  Result<int> dump(const std::function<wire::Bytes(std::uint32_t)>& request, Collect&& collect);
  Result<std::vector<wire::RawElement>> list_once(const std::string& table, const std::string& set);

  NetlinkSocket socket_;
};

} // namespace knock::netlink
